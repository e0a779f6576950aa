import { BursarError, type Client, type ClientOptions, createClient, type Tokens } from 'bursar/client'
import { describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'

const app = await startApp()
const QUARTER_MS = 15 * 60_000

/** A browser: it keeps the cookies that it is given over the life of its pages, and counts what they send. */
function browser() {
  let cookie = ''
  const sent: string[] = []
  const fetch: NonNullable<ClientOptions['fetch']> = async (url, init) => {
    sent.push(`${init.method} ${new URL(url).pathname}`)
    const headers = { ...(init.headers as object), cookie, 'sec-fetch-site': 'same-origin' }
    const answer = await globalThis.fetch(url, { ...init, headers })
    for (const set of answer.headers.getSetCookie()) cookie = set.split(';')[0] ?? ''
    return answer
  }
  return {
    sent,
    refreshes: () => sent.filter((request) => request === 'POST /v1/auth/refresh').length,
    /** A page that has just been loaded. */
    page: (options: Partial<ClientOptions> = {}): Client =>
      createClient({ url: app.url, session: 'cookie', fetch, ...options }),
    cookie: () => cookie,
    forget() {
      cookie = ''
    },
  }
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error) => (error instanceof BursarError ? error.code : String(error)),
  )

async function signedIn() {
  const person = await app.signUp()
  const tab = browser()
  const client = tab.page()
  await client.sessions.login({ email: person.email, password: person.password })
  return { person, tab, client }
}

test('the access token is in memory, and the refresh token nowhere that a script can read', async () => {
  const { person, tab } = await signedIn()
  const heard: (Tokens | undefined)[] = []
  const client = tab.page({ onTokens: (tokens) => heard.push(tokens) })
  const answer = await client.sessions.login({ email: person.email, password: person.password })
  expect(answer).toEqual({ accessToken: expect.any(String), expiresIn: 900 })
  expect(client.tokens()).toEqual({ accessToken: answer.accessToken, refreshToken: undefined })
  expect(heard).toEqual([client.tokens()])
  expect(tab.cookie()).toMatch(/^__Host-bursar-session=./)
})

describe('a page that has just been loaded', () => {
  test('gets the session back with its first call, once for all calls at the same time', async () => {
    const { person, tab } = await signedIn()
    const client = tab.page()
    const users = await Promise.all([1, 2, 3].map(() => client.account.get()))
    expect(users.map(({ email }) => email)).toEqual(Array(3).fill(person.email))
    expect(tab.refreshes()).toBe(1)
  })

  test('learns from restore whether somebody is signed in', async () => {
    const { tab } = await signedIn()
    const client = tab.page()
    expect(await Promise.all([client.restore(), client.restore()])).toEqual([true, true])
    expect(await client.restore()).toBe(true)
    expect(tab.refreshes()).toBe(1)
  })

  test('is told without an error that nobody is, and does not ask again before somebody signs in', async () => {
    const { person, tab } = await signedIn()
    tab.forget()
    const client = tab.page()
    expect(await client.restore()).toBe(false)
    expect(await codeOf(client.account.get())).toBe('unauthorized')
    expect(await client.restore()).toBe(false)
    expect(tab.refreshes()).toBe(1)
    await client.sessions.login({ email: person.email, password: person.password })
    expect(await client.restore()).toBe(true)
    expect((await client.account.get()).email).toBe(person.email)
  })

  test('a call of a visitor is refused as that of a visitor', async () => {
    expect(await codeOf(browser().page().account.get())).toBe('unauthorized')
  })

  test('does not take a lost connection for a visitor', async () => {
    const { tab } = await signedIn()
    const offline = () => Promise.reject(new TypeError('fetch failed'))
    expect(await codeOf(tab.page({ fetch: offline, retries: 0 }).restore())).toBe('connection_lost')
    expect(await tab.page().restore()).toBe(true)
  })

  test('can sign out at once', async () => {
    const { tab } = await signedIn()
    const client = tab.page()
    await client.sessions.logout()
    expect(await client.restore()).toBe(false)
    expect(await tab.page().restore()).toBe(false)
  })
})

test('an access token that has expired is replaced by cookie, once for all calls under way', async () => {
  const { person, tab, client } = await signedIn()
  app.advance(QUARTER_MS + 1000)
  const users = await Promise.all([1, 2, 3].map(() => client.account.get()))
  expect(users.map(({ email }) => email)).toEqual(Array(3).fill(person.email))
  expect(tab.refreshes()).toBe(1)
})

test('signing out in one tab ends the session of the other, whose tokens are forgotten', async () => {
  const { tab, client } = await signedIn()
  const other = tab.page()
  await other.account.get()
  await client.sessions.logout()
  expect(client.tokens()).toBeUndefined()
  expect(await codeOf(other.account.get())).toBe('session_ended')
  expect([other.tokens(), await other.restore()]).toEqual([undefined, false])
})

test('a page never goes on as somebody else who has signed in in another tab', async () => {
  const { tab, client } = await signedIn()
  const bob = await app.signUp()
  const other = tab.page()
  await other.sessions.login({ email: bob.email, password: bob.password })
  app.advance(QUARTER_MS + 1000)
  expect(await codeOf(client.account.get())).toBe('session_ended')
  expect([client.tokens(), await client.restore()]).toEqual([undefined, false])
  expect((await other.account.get()).email).toBe(bob.email)
  expect((await tab.page().account.get()).email).toBe(bob.email)
})

test('a page goes on for the same person who has signed in again in another tab', async () => {
  const { person, tab, client } = await signedIn()
  const other = tab.page()
  await other.sessions.login({ email: person.email, password: person.password })
  app.advance(QUARTER_MS + 1000)
  expect((await client.account.get()).email).toBe(person.email)
})

test('without the setting nothing is asked of a cookie', async () => {
  const { tab } = await signedIn()
  const before = tab.sent.length
  const client = tab.page({ session: undefined })
  expect([await client.restore(), await codeOf(client.account.get())]).toEqual([false, 'unauthorized'])
  expect(tab.sent.length).toBe(before)
})
