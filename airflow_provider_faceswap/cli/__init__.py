"""Commands of ``airflow faceswap``."""
