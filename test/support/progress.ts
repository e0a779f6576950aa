/** Where the state of a long run is shown: a terminal, or a file or pipe. */
interface Screen {
  isTTY?: boolean
  write(text: string): unknown
}

const EVERY_MS = 5_000

/**
 * Shows how far a long run is. A terminal has one line, which is written over and which an empty text clears. A file or
 * pipe gets a line every five seconds at most, the first one at once, so that a reader sees that the run goes on.
 */
export function progressOn(screen: Screen = process.stderr, nowMs = () => performance.now()) {
  let toldMs = Number.NEGATIVE_INFINITY
  return (text: string): void => {
    if (screen.isTTY) return void screen.write(`\r\x1b[K${text}`)
    if (text === '' || nowMs() - toldMs < EVERY_MS) return
    toldMs = nowMs()
    screen.write(`${text}\n`)
  }
}
