"""Consumers as people write them with Channels' generic classes: a sync one, an async one, and one of a worker."""

from asgiref.sync import async_to_sync
from channels.consumer import SyncConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer

#: The consumers of this process that have not ended.
running = set()


def counted(application):
    """`application`; each of its instances is in `running` until it has ended, its `disconnect` included."""

    async def instance(scope, receive, send):
        consumer = object()
        running.add(consumer)
        try:
            await application(scope, receive, send)
        finally:
            running.discard(consumer)

    return instance


class SyncDesk(WebsocketConsumer):
    """Members of one desk hear each other; its first line is the name of its channel."""

    def connect(self):
        self.desk = self.scope["url_route"]["kwargs"]["desk"]
        async_to_sync(self.channel_layer.group_add)(self.desk, self.channel_name)
        self.accept()
        self.send(text_data=self.channel_name)

    def disconnect(self, code):
        async_to_sync(self.channel_layer.group_discard)(self.desk, self.channel_name)

    def receive(self, text_data=None, bytes_data=None):
        message = {"type": "desk.note", "text": text_data, "bytes": bytes_data}
        async_to_sync(self.channel_layer.group_send)(self.desk, message)

    def desk_note(self, event):
        self.send(text_data=event.get("text"), bytes_data=event.get("bytes"))


class JsonDesk(AsyncJsonWebsocketConsumer):
    """The same in JSON, with a group that Channels joins and leaves by itself beside that of the desk."""

    groups = ("everyone",)

    async def connect(self):
        self.desk = self.scope["url_route"]["kwargs"]["desk"]
        await self.channel_layer.group_add(self.desk, self.channel_name)
        await self.accept()
        await self.send_json(self.channel_name)

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.desk, self.channel_name)

    async def receive_json(self, content):
        await self.channel_layer.group_send(self.desk, {"type": "desk.note", "text": content})

    async def desk_note(self, event):
        await self.send_json(event["text"])


class Errands(SyncConsumer):
    """Work of `manage.py runworker errands`: it answers to the channel that the message names."""

    def run(self, message):
        answer = {"type": "desk.note", "text": f"done: {message['text']}"}
        async_to_sync(self.channel_layer.send)(message["answer_to"], answer)
