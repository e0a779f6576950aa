import { createReadStream } from 'node:fs'

/** A line of a file. */
export interface Line {
  /** Counted from 1, as editors do. */
  number: number
  /** Undefined if the line is longer than allowed, so that it was not kept. */
  text: string | undefined
  /** The bytes of the file up to the end of the line. */
  endsAt: number
}

const NEWLINE = 0x0a

/**
 * Reads a file line by line. However long the file and its lines are, no more than one line of `most` bytes is in memory.
 * @throws Error if the file cannot be read
 */
export async function* readLines(file: string, most: number): AsyncGenerator<Line> {
  let [number, endsAt, length] = [0, 0, 0]
  let parts: Buffer[] = []
  const take = (part: Buffer) => {
    length += part.length
    endsAt += part.length
    if (length <= most) parts.push(part)
    else parts = []
  }
  const end = (): Line => {
    const text = length <= most ? Buffer.concat(parts).toString('utf8').replace(/\r$/, '') : undefined
    length = 0
    parts = []
    return { number: ++number, text, endsAt }
  }
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      take(chunk.subarray(from, at))
      endsAt += 1
      from = at + 1
      yield end()
    }
    take(chunk.subarray(from))
  }
  if (length > 0) yield end()
}
