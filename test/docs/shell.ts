import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

export interface Outcome {
  /** How many of the commands succeeded, one after the other. */
  done: number
  /** What the last one printed. */
  printed: string
}

/**
 * Runs commands in one bash, as somebody who pastes them one after the other into one terminal, until one fails.
 * @param onDone is called after each that succeeded, with what it printed; an error that it throws ends the run
 */
export async function runShell(
  commands: readonly string[],
  options: { cwd: string; env: Record<string, string> },
  onDone: (index: number, printed: string) => void,
): Promise<Outcome> {
  // `done` waits for an answer, so that nothing runs before what was printed has been looked at.
  const lines = commands.map((command, index) => `${command}\necho ${index} >&3; read -r <&4`)
  const child = spawn('bash', ['-c', `set -euo pipefail\n${lines.join('\n')}\n`], {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  })
  const outcome: Outcome = { done: 0, printed: '' }
  for (const stream of [child.stdout, child.stderr])
    (stream as Readable).setEncoding('utf8').on('data', (text: string) => {
      outcome.printed += text
    })
  const answers = child.stdio[4] as NodeJS.WritableStream
  createInterface({ input: child.stdio[3] as Readable }).on('line', (line) => {
    // What was printed before arrives in the same turn or before.
    setImmediate(() => {
      try {
        onDone(Number(line), outcome.printed)
        outcome.done += 1
        outcome.printed = ''
        answers.write('\n')
      } catch (error) {
        outcome.printed += `${(error as Error).message}\n`
        child.kill()
      }
    })
  })
  await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
  return outcome
}
