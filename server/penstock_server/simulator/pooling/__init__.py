"""The operations that give vectors, classes and scores: embed, classify, pool, score, rerank."""
