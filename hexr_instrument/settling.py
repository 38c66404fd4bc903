"""What is billed later: whose it is, and that it is billed once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from .call import Caller, Request, Response
from .live import Keeper, Live
from .owed import Origin, Owed


class Billing(Keeper, Protocol):
    """Where calls are begun and recorded: the recorder."""

    def begin(
        self, request: Request, registered: Caller | None, origin: Origin | None = None, start: int | None = None
    ) -> Live:
        """Starts a call."""
        ...

    def read(self, live: Live, payload: Any) -> None:
        """Reads what came back for a call."""
        ...

    def record(self, live: Live) -> None:
        """Prices a call and keeps its record."""
        ...


class Settling:
    """The works of this process and of those that share its store, as their requests come by."""

    def __init__(self, recorder: Billing, owed: Owed) -> None:
        self._recorder = recorder
        self._owed = owed

    def settle(self, live: Live, *, failed: bool) -> bool:
        """Notes work whose usage comes later, and bills what is completed, once, to whoever started it.

        Returns:
            Whether the call itself is such a work: it is recorded when its usage is known.
        """
        call, request = live.call, live.call.request
        if request.billing == "owed":
            works = request.format.works
            found = [(request.response_id, call.payload)] if works is None else works(call.payload)
            for work, payload in found:
                if work is not None and self._owed.knows(work):
                    self._settle_work(live, work, payload, request.format.response(payload))
            return False
        response = call.response
        work = None if response is None else response.id or request.response_id
        if response is None or work is None:
            return False
        if request.billing != "call":
            if not failed:
                self._settle_work(live, work, call.payload, response)
            return False
        if not response.pending or response.usage is not None:
            return False
        # What has failed or broke off is told at once; should the work be fetched all the same, it is billed then.
        held = request.background and not failed
        times = (call.start, call.end or call.start) if held else None
        self._owed.open(work, self._here(live, times, live if held else None), new=True)
        return held

    def _here(self, live: Live, times: tuple[int, int] | None = None, held: Live | None = None) -> Origin:
        call = live.call
        around = None if call.parent_id is None else (call.trace_id, call.parent_id, call.sampled)
        return Origin(call.caller, around, call.request.model, live.invocation, times, held)

    def _settle_work(self, live: Live, work: str, payload: Any, response: Response) -> None:
        job = live.call.request.billing == "job"
        if response.pending:
            if job:
                self._owed.open(work, self._here(live), new=live.call.request.starts)
            return
        origin = self._owed.settle(work, self._here(live) if job else None)
        if origin is None or not response.billed:
            return
        if response.output is not None:
            self._owed.open(response.output, origin)
        else:
            self._bill(live, payload, response, origin)

    def _bill(self, live: Live, payload: Any, response: Response, origin: Origin) -> None:
        """The record of a work that is seen completed: of the request that started it, if that is a call."""
        call, request = live.call, live.call.request
        partial = request.stream and not (live.whole or request.format.finished(payload))
        held = origin.live
        if isinstance(held, Live) and held.generation == self._recorder.worker.generation:
            held.call.payload = held.call.heard = payload
            held.call.partial = partial
            self._recorder.read(held, payload)
            self._recorder.record(held)
            return
        operation = response.operation or request.format.operation
        billed = replace(request, billing="call", operation=operation, model=origin.model, stream=False)
        start, end = origin.times or (call.start, call.end or call.start)
        bill = self._recorder.begin(billed, None, origin, start)
        bill.call.payload = payload
        bill.call.partial = partial
        bill.end(at=bill.clock + end - start)
