"""Filtersets: a malformed parameter is a 400 that names it, an unknown one is ignored."""

from django.core.validators import EMPTY_VALUES
from django.db import models
from django_filters import rest_framework as filters

from postfuze.api.times import TimeFilter


class StrictFilterSet(filters.FilterSet):
    """UUIDs, choices and times are checked by their fields; instants are read as everywhere in the API."""

    FILTER_DEFAULTS = {**filters.FilterSet.FILTER_DEFAULTS, models.DateTimeField: {"filter_class": TimeFilter}}

    def is_valid(self) -> bool:
        """A blank value is malformed, too: `?account_id=` must not answer with everybody's."""
        super().is_valid()
        cleaned = dict(self.form.cleaned_data)
        for name in self.filters:
            if name in self.data and name in cleaned and cleaned[name] in EMPTY_VALUES:
                self.form.add_error(name, "Expected a value.")
        return super().is_valid()
