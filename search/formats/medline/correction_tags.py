"""The tags of MEDLINE text that stand for links between articles, and NLM's names of the links."""

from __future__ import annotations

__all__ = ["CORRECTION_KINDS", "CORRECTION_TAGS"]

#: The tag and the kinds (RefType) of correction that it stands for; the first is the one that is read.
_CORRECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CIN", ("CommentIn",)),
    ("CON", ("CommentOn",)),
    ("CRF", ("CorrectedandRepublishedFrom",)),
    ("CRI", ("CorrectedandRepublishedIn",)),
    ("DDIN", ("AssociatedDataset",)),
    ("DRIN", ("AssociatedPublication",)),
    ("ECF", ("ExpressionOfConcernFor",)),
    ("ECI", ("ExpressionOfConcernIn",)),
    ("EFR", ("ErratumFor",)),
    ("EIN", ("ErratumIn",)),
    ("ORI", ("OriginalReportIn",)),
    ("PRIN", ("PartialRetractionIn",)),
    ("PROF", ("PartialRetractionOf",)),
    ("RIN", ("RetractionIn",)),
    ("ROF", ("RetractionOf",)),
    ("RPF", ("RepublishedFrom", "ReprintOf")),
    ("RPI", ("RepublishedIn", "ReprintIn")),
    ("RRF", ("RetractedandRepublishedFrom",)),
    ("RRI", ("RetractedandRepublishedIn",)),
    ("SPIN", ("SummaryForPatientsIn",)),
    ("UIN", ("UpdateIn",)),
    ("UOF", ("UpdateOf",)),
)

#: The kind of correction that a tag is read as.
CORRECTION_KINDS = {tag: kinds[0] for tag, kinds in _CORRECTIONS}

#: The tag that a kind of correction is written with.
CORRECTION_TAGS = {kind: tag for tag, kinds in _CORRECTIONS for kind in kinds}
