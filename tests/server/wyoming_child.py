"""Asks a Wyoming server for its voices and for speech: `wyoming_child.py PORT VOICE TEXT` prints one JSON line."""

import asyncio
import json
import sys

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeVoice


async def main(port: int, voice: str, text: str) -> None:
    for _ in range(600):  # until the bridge listens
        try:
            client = AsyncTcpClient("127.0.0.1", port)
            await client.connect()
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
    await client.write_event(Describe().event())
    event = await client.read_event()
    assert event is not None
    info = Info.from_event(event)
    voices = [one.name for program in info.tts for one in program.voices]
    await client.write_event(Synthesize(text=text, voice=SynthesizeVoice(name=voice)).event())
    rate, size, kinds = 0, 0, []
    while event := await client.read_event():
        kinds.append(event.type)
        if AudioStart.is_type(event.type):
            rate = AudioStart.from_event(event).rate
        elif AudioChunk.is_type(event.type):
            size += len(AudioChunk.from_event(event).audio)
        elif AudioStop.is_type(event.type) or event.type == "error":
            break
    await client.disconnect()
    print(json.dumps({"voices": voices, "rate": rate, "samples": size // 2, "last": kinds[-1] if kinds else None}))


asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
