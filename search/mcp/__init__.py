"""A server of the Model Context Protocol: language models search, and cite what they find. It only reads."""
