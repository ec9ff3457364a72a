"""A policy in the formats of other runtimes. Imports outputs, agents, environments and below."""

from trainer.exports.formats import FORMATS as FORMATS
from trainer.exports.formats import ExportError as ExportError
from trainer.exports.formats import write_policy as write_policy
