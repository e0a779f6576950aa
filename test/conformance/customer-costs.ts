import type { Cost } from './costs.ts'

export const READ_ACCOUNT = { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }
export const ASK = { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 2 }
export const CONFIRMED = { 'POST /v1/payment_intents': 1, 'POST /v1/payment_intents/*/confirm': 1 }

/**
 * Costs of customers' requests that `test/simulate` plays a month with; `cost.deep.test.ts`, which has all others, counts
 * these too. What `withSourceCount` adds is not in them.
 */
export const CUSTOMER_COSTS = {
  'GET /v1/user': READ_ACCOUNT,
  'POST /rest/users': {
    dynamodb: { GetItem: 1, UpdateItem: 1, TransactWriteItems: 1, PutItem: 1 },
    readUnits: 1,
    writeUnits: 26,
    mail: { SendEmail: 1 },
  },
  'POST /v1/auth/activate': {
    dynamodb: { GetItem: 3, TransactWriteItems: 1, UpdateItem: 1 },
    readUnits: 3,
    writeUnits: 17,
    cognito: { AdminCreateUser: 1, AdminSetUserPassword: 1 },
  },
  'POST /v1/auth/login': {
    dynamodb: { Query: 2, TransactWriteItems: 1, UpdateItem: 1, GetItem: 1 },
    readUnits: 3,
    writeUnits: 5,
    cognito: { AdminInitiateAuth: 1 },
  },
  'POST /v1/auth/refresh': { ...READ_ACCOUNT, cognito: { GetTokensFromRefreshToken: 1 } },
  'POST /v1/user/resetPassword': ASK,
  'PUT /v1/user/resetPassword': {
    dynamodb: { GetItem: 1, Query: 2, TransactWriteItems: 2 },
    readUnits: 3,
    writeUnits: 36,
    cognito: { AdminSetUserPassword: 1 },
  },
  'GET /v1/usage': { dynamodb: { Query: 5, GetItem: 1 }, readUnits: 6, writeUnits: 0 },
  'GET /v1/invoice/list': { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  'POST /v1/user/bundle, first card': {
    dynamodb: { Query: 3, GetItem: 8, TransactWriteItems: 5, UpdateItem: 2 },
    readUnits: 11,
    // Two are for the profile, as the first card decides about the trial.
    writeUnits: 70,
    stripe: {
      'POST /v1/customers': 1,
      'POST /v1/customers/*': 2,
      ...CONFIRMED,
      'GET /v1/payment_methods/*': 1,
    },
  },
  'POST /v1/user/buy': {
    dynamodb: { Query: 2, GetItem: 4, TransactWriteItems: 3, UpdateItem: 2 },
    readUnits: 6,
    writeUnits: 37,
    stripe: CONFIRMED,
  },
  'POST /v1/usage/leases/{id}/renew': {
    dynamodb: { GetItem: 1, UpdateItem: 1 },
    readUnits: 1,
    writeUnits: 1,
  },
} satisfies Record<string, Cost>
