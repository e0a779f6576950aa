import { randomUUID } from 'node:crypto'
import { ops } from '../routes.ts'
import { callRow } from './client.ts'
import type { Commands, Input, Terminal } from './command.ts'
import { helpText } from './help.ts'
import { readTyped } from './read.ts'
import { type Machine, targetOf } from './target.ts'

/** The terminal and the machine. */
export interface Console extends Machine {
  print(text: string): void
  progress(line: string): void
  /** Asks a person; undefined if nobody is there to ask. */
  ask: ((question: string) => Promise<string>) | undefined
}

/**
 * Carries out what was typed.
 * @throws Error with a sentence for the person at the terminal
 */
export async function runOps(args: string[], console: Console, commands: Commands): Promise<void> {
  const { command, topic, where, json, yes, request = randomUUID(), input } = readTyped(args, commands)
  if (!command) return console.print(helpText(commands, topic))
  const target = await targetOf(console, where)
  const call: Terminal['call'] = (row, sent) => callRow(console, target, row, sent, request)
  const found = await withAccountId(command.row.routes[0], input, call)
  const asked = command.asks?.(found)
  if (asked !== undefined && !yes) await confirm(console, asked)
  if (command.run) {
    const { print, progress } = console
    return console.print(await command.run({ call, print, progress, json }, found))
  }
  const answer = await call(command.row, found)
  console.print(json ? JSON.stringify(answer ?? {}, null, 2) : command.show(answer, found))
}

/** Asks before it is done. @throws Error if the answer is not yes, or nobody is there to ask */
async function confirm({ ask }: Console, what: string): Promise<void> {
  if (!ask) throw new Error(`${what} Add --yes to do it.`)
  const answer = await ask(`${what} Do it? [y/N] `)
  if (!/^y(es)?$/i.test(answer.trim())) throw new Error('Nothing was done.')
}

const ACCOUNT_ID = /^[0-9a-f]{24}$/

/** Turns what names an account into its id, for a row whose path has the id of an account. */
async function withAccountId(route: string, input: Input, call: Terminal['call']): Promise<Input> {
  const { id } = input
  if (!/^\w+ \/ops\/\w+\/accounts\/\{id\}/.test(route) || typeof id !== 'string' || ACCOUNT_ID.test(id))
    return input
  const { account, alike } = await call(ops.find, { query: id })
  if (alike.length > 0)
    throw new Error(
      `"${id}" names several accounts. Give the id of one: ${[account.id, ...alike].join(', ')}.`,
    )
  return { ...input, id: account.id }
}
