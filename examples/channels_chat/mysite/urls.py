"""Pages: a list of rooms that one may enter, and the rooms."""

from django.urls import include, path

urlpatterns = [path("chat/", include("chat.urls"))]
