import { expect, test } from 'vitest'
import { newPerson, startApp } from '../support/app.ts'

/**
 * What each endpoint costs, counted on the wire: DynamoDB calls with their read and write units, and calls to
 * the services behind. A number here changes on purpose or not at all.
 */
interface Cost {
  dynamodb: Record<string, number>
  readUnits: number
  writeUnits: number
  cognito?: Record<string, number>
  mail?: Record<string, number>
  kms?: Record<string, number>
}

const app = await startApp()
const READ_ACCOUNT = { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }

const ONE_WRITE = { dynamodb: { Query: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 }
const ASK = { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 2 }

async function cost(run: () => Promise<{ status: number }>, expectedStatus: number): Promise<Cost> {
  app.resetCalls()
  expect((await run()).status).toBe(expectedStatus)
  return app.calls()
}

const nothingElse = { cognito: {}, mail: {}, kms: {}, stripe: {} }

/** Each line: what is asked, its status, what it costs. */
const table: [string, number, (token: string) => Promise<{ status: number }>, Cost][] = [
  [
    'GET /api/users/current',
    200,
    (token) => app.request('GET', '/api/users/current', { token }),
    READ_ACCOUNT,
  ],
  ['GET /v1/user', 200, (token) => app.request('GET', '/v1/user', { token }), READ_ACCOUNT],
  [
    'GET /rest/users/{username}',
    200,
    (token) => app.request('GET', '/rest/users/costs', { token }),
    READ_ACCOUNT,
  ],
  ['GET /health', 200, () => app.request('GET', '/health'), { dynamodb: {}, readUnits: 0, writeUnits: 0 }],
  [
    'GET /openapi.json',
    200,
    () => app.request('GET', '/openapi.json'),
    { dynamodb: {}, readUnits: 0, writeUnits: 0 },
  ],
  [
    // Names, profile and key look-up in one transaction; then active, code and mail in another; then the mail goes.
    'POST /rest/users',
    201,
    () => app.register(newPerson()),
    {
      dynamodb: { TransactWriteItems: 2, DeleteItem: 1 },
      readUnits: 0,
      writeUnits: 21,
      cognito: { AdminCreateUser: 1, AdminSetUserPassword: 1 },
      mail: { SendEmail: 1 },
    },
  ],
  [
    'POST /v1/auth/activate',
    200,
    async () => {
      const person = newPerson()
      await app.register(person)
      app.resetCalls()
      return app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(person.email) } })
    },
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 8 },
  ],
  [
    'POST /v1/auth/login',
    200,
    () => app.request('POST', '/v1/auth/login', { json: { username: 'costs', password: 'Hello123!' } }),
    {
      dynamodb: { GetItem: 1, Query: 1, UpdateItem: 1 },
      readUnits: 2,
      writeUnits: 1,
      cognito: { AdminInitiateAuth: 1 },
    },
  ],
  [
    'POST /v1/auth/login, unknown name',
    401,
    () => app.request('POST', '/v1/auth/login', { json: { username: 'nobody', password: 'Hello123!' } }),
    { dynamodb: { GetItem: 1, Query: 1 }, readUnits: 2, writeUnits: 0, cognito: { AdminInitiateAuth: 1 } },
  ],
  [
    'POST /v1/auth/refresh',
    200,
    async () => {
      const { refreshToken } = await app.login({
        username: 'costs',
        email: 'costs@mail.example',
        password: 'Hello123!',
      })
      app.resetCalls()
      return app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
    },
    { ...READ_ACCOUNT, cognito: { GetTokensFromRefreshToken: 1 } },
  ],
  [
    'POST /v1/auth/logout',
    204,
    async () => {
      const { accessToken } = await app.login({
        username: 'costs',
        email: 'costs@mail.example',
        password: 'Hello123!',
      })
      app.resetCalls()
      return app.request('POST', '/v1/auth/logout', { token: accessToken })
    },
    { dynamodb: { Query: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  [
    'PUT /api/users/current, name',
    200,
    (token) => app.request('PUT', '/api/users/current', { token, json: { name: 'Ada Costs' } }),
    ONE_WRITE,
  ],
  [
    'PUT /v1/user/flags',
    204,
    (token) => app.request('PUT', '/v1/user/flags', { token, json: { lowQuotaNotification: true } }),
    ONE_WRITE,
  ],
  [
    // Sessions end in the first write, the vault is asked, the second write opens the account again.
    'PUT /v1/user/password',
    204,
    async () => {
      const { accessToken } = await app.signUp()
      app.resetCalls()
      return app.request('PUT', '/v1/user/password', { token: accessToken, json: { password: 'Changed1!' } })
    },
    {
      dynamodb: { Query: 1, UpdateItem: 2 },
      readUnits: 1,
      writeUnits: 2,
      cognito: { AdminSetUserPassword: 1 },
    },
  ],
  [
    'PUT /api/users/current/deactivate',
    200,
    async () => {
      const { accessToken } = await app.signUp()
      app.resetCalls()
      return app.request('PUT', '/api/users/current/deactivate', { token: accessToken })
    },
    ONE_WRITE,
  ],
  [
    'POST /api/users/restore',
    200,
    async () => {
      const { accessToken, email, password } = await app.signUp()
      await app.request('PUT', '/api/users/current/deactivate', { token: accessToken })
      app.resetCalls()
      return app.request('POST', '/api/users/restore', { json: { email, password } })
    },
    {
      dynamodb: { GetItem: 1, Query: 1, UpdateItem: 1 },
      readUnits: 2,
      writeUnits: 1,
      cognito: { AdminInitiateAuth: 1, RevokeToken: 1 },
    },
  ],
  // One write whether the address is known or not: the item and its entry in the index of due work.
  [
    'POST /v1/user/resetPassword',
    204,
    () => app.request('POST', '/v1/user/resetPassword', { json: { email: 'costs@mail.example' } }),
    ASK,
  ],
  [
    'POST /v1/user/resetPassword, unknown address',
    204,
    () => app.request('POST', '/v1/user/resetPassword', { json: { email: 'nobody@mail.example' } }),
    ASK,
  ],
  [
    'POST /v1/auth/resend',
    204,
    () => app.request('POST', '/v1/auth/resend', { json: { email: 'costs@mail.example' } }),
    ASK,
  ],
  [
    'PUT /v1/user/resetPassword',
    204,
    async () => {
      const { email } = await app.signUp()
      await app.request('POST', '/v1/user/resetPassword', { json: { email } })
      await app.job('send-mail')
      const code = app.mailedCode(email)
      app.resetCalls()
      return app.request('PUT', '/v1/user/resetPassword', { json: { code, password: 'Changed1!' } })
    },
    {
      dynamodb: { GetItem: 1, Query: 1, TransactWriteItems: 2 },
      readUnits: 2,
      writeUnits: 8,
      cognito: { AdminSetUserPassword: 1 },
    },
  ],
  [
    'PUT /rest/users/{username}, username',
    200,
    async () => {
      const { accessToken, username } = await app.signUp()
      app.resetCalls()
      const json = { username: `renamed.${username}` }
      return app.request('PUT', `/rest/users/${username}`, { token: accessToken, json })
    },
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 6 },
  ],
  [
    'GET /v1/keys',
    200,
    (token) => app.request('GET', '/v1/keys', { token }),
    { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    'POST /v1/keys',
    201,
    (token) => app.request('POST', '/v1/keys', { token, json: { name: 'one' } }),
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 6 },
  ],
  [
    'GET /api/users/current/notifications',
    200,
    (token) => app.request('GET', '/api/users/current/notifications', { token }),
    { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  ],
]

const { accessToken } = await app.signUp({ username: 'costs', email: 'costs@mail.example' })

test.each(table)('%s (%i) costs what it is pinned at', async (_, status, run, expected) => {
  expect(await cost(() => run(accessToken), status)).toEqual({ ...nothingElse, ...expected })
})
