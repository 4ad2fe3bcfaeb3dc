"""The operations that return vectors, classes and scores: embed, classify, pool, score, rerank."""
