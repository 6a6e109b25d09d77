"""ticker: counts in kv twice a second and says how long each write took, so that a failover's gap is a number in its log.
A write that failed or was not answered is made again: the same count under the same key, so once or twice is the same."""

import trio

import swarmtui
from swarmtui.client.errors import ClientError

KEY = "ticker"
PERIOD_S = 0.5
ATTEMPT_S = 1.0  # then another manager may know more
RETRY_S = 0.02


async def main() -> None:
    async with swarmtui.connect() as cluster:
        count, attempts, due = 0, 1, trio.current_time()
        while True:
            try:
                with trio.fail_after(ATTEMPT_S):
                    if not count and (record := await cluster.kv.get(KEY)) is not None:
                        count = int(record.value)  # where the ticker before this one stopped
                    await cluster.kv.put(KEY, str(count + 1))
            except (ClientError, trio.TooSlowError):
                attempts += 1
                await trio.sleep(RETRY_S)
                continue
            count, took_s = count + 1, trio.current_time() - due
            gap = f": writes had stopped, attempt {attempts} went through" if attempts > 1 else ""
            print(f"tick {count} written in {took_s * 1000:.1f} ms{gap}")
            attempts, due = 1, max(due + PERIOD_S, trio.current_time())
            await trio.sleep_until(due)


if __name__ == "__main__":
    trio.run(main)
