"""Commands below ``airflow faceswap``."""
