"""The article's files: activations, features, their difference between two styles, and EID tables.

Each shape has a frozen dataclass of numpy arrays, a reader that refuses what is not that shape, and a writer (EID
tables are read only). No reader executes what a file contains.
"""

from saeprobe.article_files.activations import ArticleActivations, read_activations, write_activations
from saeprobe.article_files.comparison import compare_styles
from saeprobe.article_files.eid_table import EidTable, read_eid_table
from saeprobe.article_files.errors import ArticleFileError
from saeprobe.article_files.features import ArticleFeatures, read_features, write_features
from saeprobe.recorded.results import FeatureDiff, FeatureRates, read_feature_diff, write_feature_diff

__all__ = [
    "ArticleActivations",
    "ArticleFeatures",
    "ArticleFileError",
    "EidTable",
    "FeatureDiff",
    "FeatureRates",
    "compare_styles",
    "read_activations",
    "read_eid_table",
    "read_feature_diff",
    "read_features",
    "write_activations",
    "write_feature_diff",
    "write_features",
]
