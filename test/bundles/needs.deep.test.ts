import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { functions } from '../../functions/deploy/functions.ts'
import { environmentOf } from '../../functions/deploy/permissions.ts'
import { needs } from '../../functions/http/needs.ts'
import type { Need } from '../../functions/http/route.ts'
import { CALLS_FILE, callsFile, callsOf } from './calls.ts'
import { unreadNeeds } from './reads.ts'

const named = (name: string) => functions.find((fn) => fn.name === name)!

/** The functions that have a setting in their environment. */
const holdersOf = (setting: string) =>
  functions.filter((fn) => environmentOf(fn).some((each) => each === setting)).map(({ name }) => name)

test('no function has a port, with its secrets and permissions, that nothing in its code reads', async () => {
  const unread = await Promise.all(functions.map(async (fn) => [fn.name, await unreadNeeds(fn)] as const))
  expect(Object.fromEntries(unread.filter(([, found]) => found.length > 0))).toEqual({})
})

test.each(Object.keys(needs) as Need[])(
  'a function that needs %s and does not read it is found',
  async (need) => {
    const health = named('http-health')
    expect(health.needs).toEqual([])
    expect(await unreadNeeds({ ...health, needs: [need] })).toEqual([need])
    const signUp = named('v1-sign-up-for-bundle')
    if (signUp.needs.includes(need)) return
    expect(await unreadNeeds({ ...signUp, needs: [...signUp.needs, need] })).toEqual([need])
  },
)

test('only the function that checks the signatures of webhooks has the secrets for them', () => {
  expect(holdersOf('STRIPE_WEBHOOK_SECRETS')).toEqual(['webhooks-stripe'])
})

test('what functions may ask AWS for is what their code can reach, or npm run generate has to run', async () => {
  expect(readFileSync(join(import.meta.dirname, '..', '..', CALLS_FILE), 'utf8')).toBe(await callsFile())
})

/** What a function can ask for whose handler is this code, which has the ports in `deps`. */
async function callsOfCode(code: string) {
  const name = `planted-${process.pid}`
  const file = join(import.meta.dirname, `${name}.ts`)
  writeFileSync(file, `import { importKey, keys, PLANS } from '../../core/table/keys.ts'\n${code}`)
  try {
    return await callsOf({ ...named('v1-login'), name, handler: `test/bundles/${name}.handler` })
  } finally {
    rmSync(file)
  }
}

test.each([
  ['a read', 'export const handler = (deps) => deps.table.get(importKey("1"))', 'table.get', 'IMPORT#*', ''],
  ['a list', 'export const handler = ({ table }) => table.list(PLANS, "V")', 'table.list', 'PLANS', ''],
  [
    'a write of a transaction',
    'export const handler = (deps) => deps.table.transact([{ remove: keys.usernameGuard("a") }])',
    'table.remove',
    '',
    'USERNAME#*',
  ],
  [
    'an update with conditions that are spread',
    'export const handler = (deps, more) => deps.table.transact([{ update: keys.emailGuard("a"), ...more }])',
    'table.update',
    '',
    'EMAIL#*',
  ],
  [
    'a call of the vault',
    'export const handler = (deps) => end(deps)\nconst end = ({ identity }) => identity.remove("1")',
    'identity.remove',
    '',
    '',
  ],
  [
    'due items',
    'export const handler = (deps) => deps.table.due("DELIVERY", 0, 1)',
    'table.due',
    'ENDPOINT#*',
    '',
  ],
])('%s is found in what a function can reach, and nothing else', async (_, code, method, reads, writes) => {
  const unused = 'const never = (deps) => deps.table.putAll([keys.code("1")])'
  const found = await callsOfCode(`${code}\n${unused}`)
  // The container reads an item that does not exist while it starts.
  expect(new Set(found.methods)).toEqual(new Set(['table.get', method]))
  expect([...found.reads, ...found.writes].sort()).toEqual(
    [...new Set(['ACCOUNT#*', ...words(reads), ...words(writes)])].sort(),
  )
  for (const partition of words(writes)) expect(found.writes).toContain(partition)
})

const words = (text: string) => text.split(' ').filter(Boolean)

test('a function gets a key of the root secret for each purpose that its code names, and for no other', async () => {
  const { purposes } = await callsOfCode(
    `const PURPOSE = 'seal:answer'
export const handler = ({ keyring }) => keyring.seal(PURPOSE, keyring.mac('mac:code', 'mac:unknown'), 'seal')
const never = ({ keyring }) => keyring.mac('mac:limit')`,
  )
  expect(purposes).toEqual(['mac:code', 'seal:answer'])
  expect((await callsOf({ ...named('v1-login'), needs: [] })).purposes).toEqual([])
})

test('what leaks from a consume opens nothing', async () => {
  const { purposes } = await callsOf(named('v1-consume'))
  expect(purposes).toEqual(['mac:credential-check', 'mac:key-check', 'mac:log-source', 'mac:request'])
})

test('a refresh of a session asks the vault for nothing that takes a permission', async () => {
  const { methods } = await callsOf(named('v1-refresh'))
  expect(methods.filter((method) => method.startsWith('identity.'))).toEqual([])
})
