"""Scripts from collections of Postman."""
