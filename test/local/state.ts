import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** What a double remembers: in memory, and in a file too when the stack has a data folder. */
export interface State<T> {
  value: T
  /** Writes the whole value; call it before answering, so that kill -9 loses nothing answered. */
  save(): void
}

/**
 * Opens a double's state. The file is replaced by rename, so a reader never meets half of one.
 * @throws Error with a sentence for the person at the terminal if the file is not JSON.
 */
export function openState<T>(file: string | undefined, initial: () => T): State<T> {
  if (file === undefined) return { value: initial(), save() {} }
  const state: State<T> = {
    value: existsSync(file) ? parse<T>(file) : initial(),
    save() {
      writeFileSync(`${file}.new`, JSON.stringify(state.value))
      renameSync(`${file}.new`, file)
    },
  }
  state.save()
  return state
}

function parse<T>(file: string): T {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T
  } catch (error) {
    throw new Error(
      `${file} cannot be read (${(error as Error).message}). Delete its folder to start afresh.`,
    )
  }
}
