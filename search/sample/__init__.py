"""Records written for this project. They are not real studies."""
