"""One consumer for each open chat page."""

from channels.generic.websocket import AsyncJsonWebsocketConsumer


class ChatConsumer(AsyncJsonWebsocketConsumer):
    """Joins the group of its room; what its page sends goes to all members, this page included."""

    async def connect(self):
        self.group = f"chat.{self.scope['url_route']['kwargs']['room']}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive_json(self, content):
        await self.channel_layer.group_send(self.group, {"type": "chat.line", "text": content["text"]})

    async def chat_line(self, event):
        """A message to the group has arrived here."""
        await self.send_json({"text": event["text"]})
