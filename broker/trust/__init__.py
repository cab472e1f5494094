"""Keys, directory, enrolment, certificates. Pure: keys made elsewhere, time given."""
