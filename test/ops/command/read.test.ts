import { expect, test } from 'vitest'
import * as z from 'zod/mini'
import { place } from '../../../functions/http/route.ts'
import { type Commands, command } from '../../../functions/ops/command/command.ts'
import { commands } from '../../../functions/ops/command/commands.ts'
import { fieldsOf, isSwitch, requiredOf } from '../../../functions/ops/command/fields.ts'
import { helpText } from '../../../functions/ops/command/help.ts'
import { flagOf, readTyped } from '../../../functions/ops/command/read.ts'

const { grant, all } = place('ops', {
  all: {
    routes: ['POST /ops/support/all'],
    summary: 'Gives units to all',
    auth: 'operator',
    role: 'support',
    responses: { 200: z.object({}) },
    errors: [],
    needs: [],
  },
  grant: {
    routes: ['POST /ops/support/accounts/{id}/grant'],
    summary: 'Gives units',
    auth: 'operator',
    role: 'support',
    path: z.object({ id: z.string() }),
    query: z.object({ tags: z.optional(z.array(z.string())) }),
    body: z.strictObject({
      units: z.int(),
      reason: z.string(),
      unitsLeft: z.optional(z.boolean()),
      note: z.optional(z.string()),
    }),
    responses: { 200: z.object({}) },
    errors: [],
    needs: [],
  },
})

const known: Commands = {
  grant: command(grant, {
    summary: 'gives units',
    takes: ['id', 'units'],
    flags: { reason: 'why', unitsLeft: 'those left', tags: 'some tags', note: 'a note' },
    defaults: { note: 'none' },
    show: () => 'done',
  }),
  'grant all': command(all, { summary: 'gives units to all', show: () => 'done' }),
}
const read = (...args: string[]) => readTyped(args, known)

test('arguments and flags become the fields of the row, with its types', () => {
  const { command, input } = read('grant', 'ada', '50', '--units-left', '--tags', 'a,b', '--reason', '12')
  expect(command?.words).toBe('grant')
  expect(input).toEqual({
    id: 'ada',
    units: 50,
    reason: '12',
    unitsLeft: true,
    tags: ['a', 'b'],
    note: 'none',
  })
  expect(read('--reason', 'x y', 'grant', 'ada', '1').input).toEqual({
    id: 'ada',
    units: 1,
    reason: 'x y',
    note: 'none',
  })
})

test('the longest words are the command', () => {
  expect(read('grant', 'all').command?.words).toBe('grant all')
})

test('commands go to the stack on this machine, unless a stage or an address is named', () => {
  expect(read('grant', 'all').where).toEqual({
    stage: undefined,
    url: undefined,
    region: undefined,
    role: 'admin',
  })
  expect(read('grant', 'all', '--stage', 'production').where.stage).toBe('production')
  expect(read('grant', 'all', '--url', 'http://127.0.0.1:4000', '--as', 'read').where).toMatchObject({
    url: 'http://127.0.0.1:4000',
    role: 'read',
  })
})

test.each<[string, string[], RegExp]>([
  ['a command that there is not', ['drop', 'x'], /^There is no command "drop x"\. .*--help/],
  [
    'an argument that is missing',
    ['grant', 'ada'],
    /^<units> is missing\. Usage: npm run ops -- grant <id> <units>$/,
  ],
  ['an argument too many', ['grant', 'ada', '1', 'x'], /^"x" is too much\. Usage: /],
  ['a number that is none', ['grant', 'ada', 'much'], /^units is a number; "much" is none\.$/],
  ['a flag that is required', ['grant', 'ada', '1'], /^--reason is missing: why\. Usage: /],
  ['a flag of another command', ['grant', 'all', '--reason', 'x'], /^"grant all" has no flag --reason\. /],
  ['a flag that there is not', ['grant', 'all', '--force'], /'--force'.*--help/],
  [
    'two deployments',
    ['grant', 'all', '--stage', 'dev', '--url', 'http://x'],
    /^Give --stage or --url, not both\.$/,
  ],
  ['a stage that is none', ['grant', 'all', '--stage', 'a;b'], /^--stage a;b is no stage: /],
  ['a URL that is none', ['grant', 'all', '--url', 'x'], /^--url x is no URL, /],
  ['a role that is none', ['grant', 'all', '--as', 'root'], /^--as root is no role\. /],
])('%s is refused in one line that says what to do', (_, args, sentence) => {
  expect(() => read(...args)).toThrow(sentence)
  expect(() => read(...args)).toThrow(/^[^\n]+$/)
})

test.each([[[]], [['--help']], [['grant', '--help']]])('the arguments %j show help', (args) => {
  const { command, topic } = readTyped(args, known)
  expect(command).toBe(undefined)
  expect(helpText(known, topic)).toContain('npm run ops -- ')
})

test('the help of a command shows its flags, and that of a beginning all commands that begin so', () => {
  expect(helpText(known, 'grant')).toContain('--units-left')
  expect(helpText(known, 'grant')).toContain('npm run ops -- grant all')
  expect(helpText(known, '')).toContain('grant <id> <units>')
})

const table = Object.entries(commands)

test.each(table)('%s: its arguments, flags and defaults are fields of its row', (_, command) => {
  const { row, takes = [], flags = {}, defaults = {} } = command
  const fields = Object.keys({ ...fieldsOf(row.path), ...fieldsOf(row.query), ...fieldsOf(row.body) })
  if (!command.run)
    expect(fields).toEqual(
      expect.arrayContaining([...takes, ...Object.keys(flags), ...Object.keys(defaults)]),
    )
})

test.each(table)('%s: what the row requires can be typed', (_, command) => {
  const { row, takes = [], flags = {}, defaults = {} } = command
  const needed = requiredOf(row)
  if (!command.run)
    expect([...takes, ...Object.keys(flags), ...Object.keys(defaults)]).toEqual(
      expect.arrayContaining(needed),
    )
})

test('a flag has a value in every command or in none', () => {
  const kinds = Map.groupBy(
    table.flatMap(([, { row, flags = {} }]) =>
      Object.keys(flags).map((name) => [flagOf(name), isSwitch(row, name)] as const),
    ),
    ([flag]) => flag,
  )
  const mixed = [...kinds].filter(([, all]) => new Set(all.map(([, kind]) => kind)).size > 1)
  expect(mixed.map(([flag]) => flag)).toEqual([])
})

test('a command that moves money, units or access asks first', () => {
  const quiet = table.filter(
    ([, { row, asks }]) => row.role !== 'read' && !row.routes[0].startsWith('GET ') && !asks,
  )
  expect(quiet.map(([words]) => words)).toEqual([
    // What they stop stays as it is, and mails go only to addresses that the account has.
    'reset-2fa stop',
    'change-email stop',
    'resend',
    'service add',
    'service revoke',
    'admin-key revoke',
    'reconcile',
    'reconcile all',
    // It keeps nobody out who has an account.
    'mail-domain rule',
    // Events have no personal data, and what an endpoint missed is replayed.
    'endpoint add',
    'endpoint change',
    'endpoint disable',
    'endpoint enable',
    'endpoint rotate',
    'endpoint test',
    'endpoint replay',
  ])
})
