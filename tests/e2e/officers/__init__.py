"""What officers of two agencies decide together on a running exchange: another policy, and that a suspended agency comes back."""
