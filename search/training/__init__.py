"""Making a model: mining pairs, fine-tuning."""
