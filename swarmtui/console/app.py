"""The application: the one timer, the keys, and the way from a key to a command and back to the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.widgets import Input

from swarmtui.cli.grammar import UsageProblem, split_line
from swarmtui.console.backend import Answer, Backend
from swarmtui.console.clock import Clock
from swarmtui.console.cluster_screen import OUTPUT, WIDE, ClusterScreen
from swarmtui.console.details import detail_lines
from swarmtui.console.encoding import needs_ascii
from swarmtui.console.feed import Buffer
from swarmtui.console.hangup import leave_on_signals
from swarmtui.console.held import Held
from swarmtui.console.help_text import help_lines
from swarmtui.console.keys import KEYS
from swarmtui.console.listener import Listener
from swarmtui.console.modals.confirm import Confirm
from swarmtui.console.modals.partition import Partition
from swarmtui.console.modals.text import TextPage
from swarmtui.console.model.fold import Model
from swarmtui.console.model.observations import LogSeen, Observation
from swarmtui.console.model.picture import Picture
from swarmtui.console.orders import Order, Pointless, Target, loss_of, order_for, question_for
from swarmtui.console.panes.command_line import CommandLine, Words
from swarmtui.console.panes.ink import one_line, shorten
from swarmtui.console.panes.list_pane import ListPane
from swarmtui.console.panes.node_strip import NodeStrip
from swarmtui.console.start import first_frame_shown
from swarmtui.console.targets import target_named
from swarmtui.console.theming import VARIABLE_DEFAULTS
from swarmtui.console.view import View
from swarmtui.console.wardrobe import Wardrobe
from swarmtui.objects.manifest import Manifest

PAINT_INTERVAL_S = 0.1
FIRST_FRAME_S = 0.5  # after mounting; by then the first frame is on the screen
MODAL_TICKS = 10  # under an open dialog only every so many ticks are painted
LISTEN_TICKS = 5  # as often it is looked whether a service that is listened to has other tasks now
ECHO_SECONDS = 8.0
TOAST_TITLE_LETTERS_MAX, TOAST_LETTERS_MAX = 70, 400


class ConsoleApp(App[int]):
    """One cluster on one screen. `paint_interval_s` None: nothing is painted but by `paint()` (tests)."""

    CSS_PATH = "console.tcss"
    TITLE = "swarmtui"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (WIDE, "-wide")]  # noqa: RUF012  (typed so by Textual)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (22, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority a key is acted upon before the next one is looked at. Without, keys that come fast all wait at the
        # widget that has the focus now: what is typed behind a colon would be taken for orders.
        *(
            Binding(key.key, key.action, key.help, id=key.id, show=False, priority=True)
            for key in KEYS
            if key.key != "tab"
        ),
        Binding("ctrl+c", "leave_hint", "leave", show=False, system=True),
        Binding("0", "pane(0)", "the nodes", id="pane.nodes", show=False, priority=True),
    ]

    def __init__(
        self,
        manifest: Manifest,
        backend: Backend,
        *,
        watch: bool = False,
        now: Callable[[], float] | None = None,
        paint_interval_s: float | None = PAINT_INTERVAL_S,
        ascii_only: bool | None = None,
        utc: bool = False,
    ) -> None:
        super().__init__()
        self.wardrobe = Wardrobe(self)
        self.now = now or Clock().now
        self.model = Model(manifest)
        self.backend = backend
        self.watch_only = watch
        self.utc = utc
        self.speaks_ascii = ascii_only if ascii_only is not None else needs_ascii()
        self.buffer = Buffer()
        self.listener = Listener(backend, self.model.output)
        self.cluster = ClusterScreen()
        self._paint_interval_s = paint_interval_s
        self._held: Held | None = None
        self._echo: tuple[str, str, float] = ("", "echo", 0.0)
        self._tick = 0
        self._under_way: set[Order] = set()
        self._typed_from: ListPane | NodeStrip = self.cluster.nodes
        self._forget_signals: Callable[[], None] = lambda: None

    # ------------------------------------------------------------------------------------------------ coming, going

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(VARIABLE_DEFAULTS)

    def get_default_screen(self) -> ClusterScreen:
        return self.cluster

    def on_load(self) -> None:
        self.wardrobe.open()

    def on_mount(self) -> None:
        self.wardrobe.complain()
        self.set_class(self.speaks_ascii, "-ascii")
        loop = asyncio.get_running_loop()
        self._forget_signals = leave_on_signals(lambda number: loop.call_soon_threadsafe(self._leave_on_signal, number))
        self.call_after_refresh(self._first_frame)
        self.set_timer(FIRST_FRAME_S, first_frame_shown)
        if self._paint_interval_s is not None:
            self.set_interval(self._paint_interval_s, self.paint)

    def _first_frame(self) -> None:
        """What is known before anybody was asked; the far side is asked once it is on the screen."""
        self.paint()
        self.call_after_refresh(self.backend.start, self.observe)

    def _leave_on_signal(self, number: int) -> None:
        self.exit(return_code=128 + number)

    async def on_unmount(self) -> None:
        await self.backend.stop()
        self._forget_signals()

    # ----------------------------------------------------------------------------------------------------- painting

    def observe(self, observation: Observation) -> None:
        """The backend's sink: keep it until the next tick."""
        self.buffer.put(observation, self.now())
        if self._held is not None and isinstance(observation, LogSeen):
            self._held.log.answer(observation.node, observation.lines)

    def paint(self) -> None:
        """One tick: fold what has come, picture it, show it, ask for what is missing on the screen."""
        if not self.cluster.is_mounted or not self.screen_stack:
            return  # not there yet, or not any more: the timer may tick once more as we leave
        self.buffer.drain(self.model)
        self._tick += 1
        if self._tick % LISTEN_TICKS == 0 and self.listener.target is not None:
            self.listener.go_on(self.live_picture())
        if self.screen.is_modal and self._tick % MODAL_TICKS:
            return  # what lies under a dialog is mixed with its shade, cell by cell: dear, and nobody reads it
        self.cluster.show(self.view())
        for node, first, last in self.cluster.log_grid.missing() if self.cluster.log_grid.display else ():
            self.backend.ask_log(node, first, last)

    def view(self) -> View:
        """The moment to show: now, or the one that is held."""
        now = self.now()
        held = self._held
        echo, ink, since = self._echo
        if now - since > ECHO_SECONDS:  # an order that still runs, as one that a stopped host is to carry out, stays
            echo = f"{echo} …" if echo and self._under_way else ""
        if held is not None:
            picture, log, events, output = held.picture, held.log, held.events, held.output
            behind, held_at = self.model.events.count - held.count, held.picture.now
        else:
            model = self.model
            picture, log, events, output = model.picture(now), model.log, model.events.events, model.output
            behind, held_at = 0, None
        return View(
            picture=picture,
            log=log,
            events=events,
            output=output,
            now=held_at if held_at is not None else now,
            held_at=held_at,
            behind=behind,
            shed=self.buffer.shed,
            watch=self.watch_only,
            ascii=self.speaks_ascii,
            utc=self.utc,
            echo=echo,
            echo_ink=ink,
        )

    def live_picture(self) -> Picture:
        """How the cluster stands now, whatever is held: what every order is judged by."""
        self.buffer.drain(self.model)
        return self.model.picture(self.now())

    def notify(self, message: str, **options: Any) -> None:
        """A toast: text, never markup, whatever a command or a theme file says, and no larger than can be read."""
        options["title"] = shorten(options.get("title", ""), TOAST_TITLE_LETTERS_MAX)
        text = "\n".join(map(one_line, shorten(message, TOAST_LETTERS_MAX).splitlines()))
        super().notify(text, **{**options, "markup": False})

    def echo(self, line: str, ink: str = "echo") -> None:
        """Show the command line that was run."""
        self._echo = (line, ink, self.now())
        self.paint()

    # ------------------------------------------------------------------------------------------------------- orders

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.watch_only and action in ("order", "partition", "command"):
            return False
        if action in _CLUSTER_ACTIONS and (self.screen is not self.cluster or isinstance(self.focused, Input)):
            return False  # a question is open, or something is typed: keys are theirs
        return super().check_action(action, parameters)

    def action_order(self, action: str) -> None:
        """A change key was pressed."""
        target = self.cluster.target
        if target is not None and target.kind == "node":
            self.cluster.nodes.choose(target.name)
        order = order_for(action, target, self.live_picture())
        if isinstance(order, Pointless):
            self.notify(order.reason)
        else:
            self.carry_out(order)

    def action_partition(self) -> None:
        target = self.cluster.target
        if target is None or target.kind != "node":
            self.notify("choose a node first: the cut goes between it and the others")
            return

        def cut(order: Order | None) -> None:
            if order is not None:
                self.carry_out(order)

        self.push_screen(Partition(self.live_picture(), target.name), cut)

    @work(group="orders", exit_on_error=False)
    async def carry_out(self, order: Order, *, typed: bool = False) -> None:
        """Ask if it must be asked, show the command line, run it, and say how it ended."""
        if order in self._under_way:
            return  # the key was pressed twice
        self._under_way.add(order)
        try:
            picture = self.live_picture()
            question = question_for(order, loss_of(order, self.model, picture), picture)
            if question is not None and not await self.push_screen_wait(Confirm(question)):
                return
            self.echo(order.line)
            answer = await self.backend.run(order.words)
        finally:
            self._under_way.discard(order)
        self._tell(order, answer, typed)

    def _tell(self, order: Order, answer: Answer, typed: bool) -> None:
        failed = answer.exit_code != 0
        self.echo(order.line, "bad" if failed else "good")
        if failed:
            text = answer.error or "\n".join(answer.lines[-3:]) or f"exit code {answer.exit_code}"
            self.notify(text, severity="error", title=order.line, timeout=10)
        elif typed and len(answer.lines) > 1:
            self.push_screen(TextPage(order.line, answer.lines, ascii_only=self.speaks_ascii))
        elif answer.lines and typed:
            self.notify(answer.lines[0], title=order.line)
        if answer.error and not failed:
            self.notify(answer.error, severity="warning", title=order.line)

    # ---------------------------------------------------------------------------------------------------- looking

    def action_pane(self, number: int) -> None:
        self.paint()  # what is chosen there is chosen from what is known now
        self.cluster.pick(number)

    def action_hold(self) -> None:
        """Hold the view, or let it go on."""
        self._held = None if self._held is not None else Held(self.live_picture(), self.model)
        self.paint()

    def action_output(self) -> None:
        """Show what the target prints."""
        self.listen_to(self.cluster.target)

    def listen_to(self, target: Target | None) -> None:
        if target is None:
            return
        self.listener.begin(target, self.live_picture())
        if self._held is not None:
            self._held.output = self.model.output
        self.cluster.pick(OUTPUT)

    def action_detail(self) -> None:
        """All that is known of what the cursor is on."""
        target = self.cluster.target
        if target is not None:

            def lines() -> list[str]:
                return detail_lines(target, self.view().picture, utc=self.utc)

            self.push_screen(TextPage(f"{target.kind} {target.name}", lines, ascii_only=self.speaks_ascii))

    def action_past(self) -> None:
        self.cluster.task_list.toggle_past()

    def action_theme(self) -> None:
        self.wardrobe.next()

    def action_help(self) -> None:
        self.push_screen(TextPage("Keys and signs", help_lines(watch=self.watch_only), ascii_only=self.speaks_ascii))

    def action_leave(self) -> None:
        self.exit(0)

    def action_leave_hint(self) -> None:
        self.notify("q leaves; the cluster keeps running")

    def action_step_back(self) -> None:
        """Esc: put away the filter, then the banner, then go back to the nodes."""
        pane = self.cluster.active_pane
        if pane.filter:
            pane.set_filter("")
        elif not self.cluster.banner.dismiss():
            self.cluster.set_focus(self.cluster.nodes)
        self.paint()

    # -------------------------------------------------------------------------------------------------------- typing

    def action_command(self) -> None:
        self._typed_from = self.cluster.moved
        picture = self.live_picture()
        names = [*(node.name for node in picture.nodes), *(service.name for service in picture.services)]
        names += [task.name for task in picture.tasks if not task.past] + ["leader", "follower", "worker"]
        self.cluster.command_line.open(":", "", Words(self.backend.suggestions(), names))

    def action_filter(self) -> None:
        self.cluster.command_line.open("/", self.cluster.active_pane.filter)

    def on_command_line_filtered(self, message: CommandLine.Filtered) -> None:
        self.cluster.panes[self.cluster.active].set_filter(message.words)

    def on_command_line_left(self, message: CommandLine.Left) -> None:
        if message.sign == "/":
            self.cluster.set_focus(self.cluster.panes[self.cluster.active])
        elif not isinstance(self.cluster.focused, ListPane):  # unless the command led to a pane, back to where one was
            self.cluster.set_focus(self._typed_from)
        self.paint()

    def on_command_line_entered(self, message: CommandLine.Entered) -> None:
        try:
            words = split_line(message.text)
        except UsageProblem as problem:
            self.notify(f"{message.text}: {problem}", severity="error")
            return
        if words and not self._own_words(words):
            self.carry_out(Order(tuple(words)), typed=True)

    def _own_words(self, words: list[str]) -> bool:
        """The few words that concern the console alone; True if these were some."""
        match words:
            case ["q" | "quit" | "exit" | "leave"]:
                self.action_leave()
            case ["theme", name]:
                self.wardrobe.use(name)
            case ["theme"]:
                self.action_theme()
            case ["help"]:
                self.action_help()
            case ["events"]:
                self.cluster.pick(5)
            case ["logs" | "log", *flags, name] if all(flag in ("-f", "--follow") for flag in flags):
                self.listen_to(target_named(name, self.live_picture()))
            case _:
                return False
        return True


_CLUSTER_ACTIONS = frozenset(
    {
        "order", "partition", "pane", "detail", "hold", "output", "past", "filter", "command", "step_back",
        "help", "leave", "theme",
    }
)  # fmt: skip
