"""Filtersets: a malformed parameter is a 400 that names it, an unknown one is ignored."""

from django.db import models
from django_filters import rest_framework as filters

from postfuze.api.times import TimeFilter


class StrictFilterSet(filters.FilterSet):
    """UUIDs, choices and times are checked by their fields; instants are read as everywhere in the API."""

    FILTER_DEFAULTS = {**filters.FilterSet.FILTER_DEFAULTS, models.DateTimeField: {"filter_class": TimeFilter}}
