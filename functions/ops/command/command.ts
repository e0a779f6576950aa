import type { $ZodType, output } from 'zod/v4/core'
import type { Placed } from '../../http/route.ts'

/** What a person has typed, by the names of the row's fields: of its path, its query and its body. */
export type Input = Readonly<Record<string, unknown>>

/** A command of the terminal as data. Its words are its key in the table of its noun, such as `service add`. */
export interface Command {
  /** The endpoint that it calls. */
  row: Placed
  /** What it does, in one line and the third person. */
  summary: string
  /**
   * The fields that follow the command's words, in this order. An `id` of an account may be anything by which `find`
   * finds one account.
   */
  takes?: readonly string[]
  /** What each flag means, by the name of its field. `unitsLeft` is `--units-left`; one for true or false has no value. */
  flags?: Readonly<Record<string, string>>
  /** Fields that are sent unless their flags are given. */
  defaults?: Input
  /**
   * What the command is about to do, for one that moves money, units or access: it asks first, or takes `--yes`. Undefined
   * if this input changes nothing.
   */
  asks?: (input: Input) => string | undefined
  /** The answer for people. */
  show(answer: unknown, input: Input): string
  /** For a command that is more than one request: does all of it, and returns what to show at the end. */
  run?: (terminal: Terminal, input: Input) => Promise<string>
}

/** The commands of a noun, by their words. */
export type Commands = Readonly<Record<string, Command>>

/** What a command with a `run` of its own works with. */
export interface Terminal {
  /** Calls an endpoint. @throws CallRefused with a sentence for people */
  call<R extends Placed>(row: R, input: Input): Promise<Answer<R>>
  /** Shows a line at once. */
  print(line: string): void
  /** Shows progress in the place of the progress before it, if the output is a terminal. */
  progress(line: string): void
  /** Whether the person wants JSON. */
  json: boolean
}

/** The body of a row's successful answer. */
export type Answer<R extends Placed> = R['responses'][keyof R['responses']] extends infer S
  ? S extends $ZodType
    ? output<S>
    : undefined
  : never

type Facts<R extends Placed> = Omit<Command, 'row' | 'show'> & {
  show(answer: Answer<R>, input: Input): string
}

/** A command that calls a row, whose answer `show` gets with the row's types. */
export const command = <R extends Placed>(row: R, facts: Facts<R>): Command =>
  ({ row, ...facts }) as unknown as Command
