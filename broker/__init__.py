"""Exchange of signed alerts, licence decisions and seizure reports between agencies, over Apache Kafka."""
