"""Presidio's recognisers over values that stand on standard input, a JSON object a line."""

import inspect
import json
import sys
import time

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, predefined_recognizers
from presidio_analyzer.nlp_engine import SpacyNlpEngine

# The list of domains that comes with it, and not one from the network.
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())

KINDS = json.loads(sys.argv[1])
MODEL = sys.argv[2]


class Engine(SpacyNlpEngine):
    """A pipeline that is there already: a model, or a tokeniser alone."""

    def __init__(self):
        super().__init__()
        self.nlp = {"en": spacy.load(MODEL) if MODEL else spacy.blank("en")}


def recognisers():
    """All those that need no service, if they find what is measured; all for English text."""
    for name, kind in inspect.getmembers(predefined_recognizers, inspect.isclass):
        parameters = inspect.signature(kind.__init__).parameters
        if "supported_language" not in parameters or "NER" in name:
            continue
        try:
            recogniser = kind(supported_language="en")
        except Exception:
            continue
        if set(recogniser.supported_entities) & set(KINDS):
            yield recogniser


registry = RecognizerRegistry(recognizers=list(recognisers()), supported_languages=["en"])
analyzer = AnalyzerEngine(registry=registry, nlp_engine=Engine(), supported_languages=["en"])
cases = [json.loads(line) for line in sys.stdin]
answers = []
start = time.perf_counter()
for case in cases:
    context = case["name"].split("_") if case["name"] else None
    answers.append(analyzer.analyze(case["text"], "en", entities=list(KINDS), context=context))
seconds = time.perf_counter() - start
for case, answer in zip(cases, answers):
    spans = [
        {
            "start": len(case["text"][: found.start].encode()),
            "end": len(case["text"][: found.end].encode()),
            "kind": KINDS[found.entity_type],
        }
        for found in answer
    ]
    print(json.dumps(spans))
print(seconds)
