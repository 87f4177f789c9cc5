"""Addresses of pages."""

from django.urls import path

from chat import views

urlpatterns = [
    path("", views.index, name="index"),
    path("<slug:room>/", views.room, name="room"),
    path("<slug:room>/announce/", views.announce, name="announce"),
]
