import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { ZodMiniType } from 'zod/mini'

/** The state of a double: in memory, and also in a file if the stack has a data folder. */
export interface State<T> {
  value: T
  /** Writes the whole value. Call this before answering, so that kill -9 loses nothing that was answered. */
  save(): void
}

export interface StateFile {
  /** If undefined, the state is in memory only. */
  file: string | undefined
  /** The schema of the file. Members that the schema does not name are kept. */
  schema: ZodMiniType
  /** A sentence that says what to do about a broken file. */
  remedy: string
}

/**
 * The remedy for a file that the table's accounts refer to, so that deleting the file alone is not enough.
 */
export const DELETE_FOLDER =
  "Delete its folder to start afresh; the table's accounts need what the file held."

/**
 * Opens a double's state. The file is replaced by rename, so a reader never sees half a file.
 * @throws Error with a message for the person at the terminal if the file does not match the schema.
 */
export function openState<T>({ file, schema, remedy }: StateFile, initial: () => T): State<T> {
  if (file === undefined) return { value: initial(), save() {} }
  const kept = existsSync(file) ? read(file, schema) : { value: initial() as unknown }
  if ('fault' in kept) throw new Error(`${file} cannot be read (${kept.fault}). ${remedy}`)
  const state: State<T> = {
    value: kept.value as T,
    save() {
      writeFileSync(`${file}.new`, JSON.stringify(state.value))
      renameSync(`${file}.new`, file)
    },
  }
  state.save()
  return state
}

/** Reads the file. The fault never quotes the file, which holds secrets. */
function read(file: string, schema: ZodMiniType): { value: unknown } | { fault: string } {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    const [issue] = schema.safeParse(value).error?.issues ?? []
    if (!issue) return { value }
    return { fault: [...issue.path.slice(0, 1).map(String), issue.message].join(': ') }
  } catch (error) {
    return { fault: error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message }
  }
}
