import views
from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("sync/", views.sync_view),
    path("async/", views.async_view),
    path("users/", views.users),
    path("upload/", views.upload),
    path("upload-raw/", views.upload_raw),
    path("download/", views.download),
    path("download-async/", views.download_async),
    path("stream/<str:bell>/", views.stream),
    path("endless/<str:bell>/", views.endless),
    path("slow/<str:bell>/", views.slow),
    path("ring/<str:bell>/", views.ring),
    path("heard/<str:bell>/", views.heard),
    path("fail/", views.fail),
]
