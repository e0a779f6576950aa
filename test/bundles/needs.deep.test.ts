import { expect, test } from 'vitest'
import { functions } from '../../functions/deploy/functions.ts'
import { environmentOf } from '../../functions/deploy/permissions.ts'
import { needs } from '../../functions/http/needs.ts'
import type { Need } from '../../functions/http/route.ts'
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
