import type { Cost } from './costs.ts'

/** The operators' rows: the cost of their sample in `test/support/samples.ts`. */
export const OPERATOR_COSTS: [route: string, Cost][] = [
  // Of any span up to 400 days.
  ['GET /ops/read/totals', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  // And one read for each account that is shown.
  ['GET /ops/read/top', { dynamodb: { Query: 1 }, readUnits: 0.5, writeUnits: 0 }],
  // The guard of the address, and the account's whole partition.
  ['GET /ops/read/find', { dynamodb: { GetItem: 1, Query: 1 }, readUnits: 2, writeUnits: 0 }],
  // Nobody is in the list.
  ['GET /ops/read/accounts', { dynamodb: { Query: 1 }, readUnits: 0.5, writeUnits: 0 }],
  // One Query for each kind.
  ['GET /ops/read/accounts/{id}/timeline', { dynamodb: { Query: 7 }, readUnits: 7, writeUnits: 0 }],
  ['GET /ops/read/whoami', { dynamodb: {}, readUnits: 0, writeUnits: 0 }],
  ['GET /ops/read/operators', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  [
    'POST /ops/admin/operators',
    { dynamodb: { GetItem: 3, TransactWriteItems: 1 }, readUnits: 3, writeUnits: 10 },
  ],
  [
    'POST /ops/admin/operators/{name}/remove',
    { dynamodb: { GetItem: 2, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 9 },
  ],
  // The deployed file.
  ['GET /ops/read/plans', { dynamodb: {}, readUnits: 0, writeUnits: 0 }],
  ['GET /ops/read/plans/versions', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  ['POST /ops/read/plans/compare', { dynamodb: { GetItem: 1 }, readUnits: 1, writeUnits: 0 }],
  // Each version is stored twice: as the present one, and for good.
  ['PUT /ops/admin/plans', { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 6 }],
  ['GET /ops/read/coupons', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  [
    'POST /ops/admin/coupons',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 4 },
  ],
  [
    'POST /ops/admin/coupons/{code}/stop',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 7 },
  ],
  ['GET /ops/read/blocked-cards', { dynamodb: { Query: 1 }, readUnits: 0.5, writeUnits: 0 }],
  [
    'POST /ops/admin/blocked-cards',
    { dynamodb: { GetItem: 2, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 8 },
  ],
  // The reports are marked as withdrawn before the accounts follow.
  [
    'POST /ops/admin/blocked-cards/unblock',
    { dynamodb: { GetItem: 2, PutItem: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 6 },
  ],
  ['GET /ops/read/mail-domains', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  [
    'POST /ops/admin/mail-domains',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 7 },
  ],
  ['GET /ops/read/services', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  ['POST /ops/admin/services', { dynamodb: { TransactWriteItems: 1 }, readUnits: 0, writeUnits: 6 }],
  [
    'POST /ops/admin/services/{name}/revoke',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 9 },
  ],
  ['GET /ops/read/admin-keys', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  // As a service, and the name.
  ['POST /ops/admin/admin-keys', { dynamodb: { TransactWriteItems: 1 }, readUnits: 0, writeUnits: 8 }],
  [
    'POST /ops/admin/admin-keys/{name}/revoke',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 9 },
  ],
  // An operator's entry in the audit log is two items: one for the account, one for the operator. Profile with its place in the
  // lists, counter, notice, mail and event are the rest.
  [
    'POST /ops/support/accounts/{id}/suspend',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 18 },
  ],
  // Of an account that was told when it was suspended.
  [
    'POST /ops/support/accounts/{id}/resume',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 18 },
  ],
  [
    'POST /ops/support/accounts/{id}/sign-out',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 11 },
  ],
  // With a proof, so at once.
  [
    'POST /ops/support/accounts/{id}/reset-2fa',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 16 },
  ],
  // A reset waits.
  [
    'POST /ops/support/accounts/{id}/reset-2fa/stop',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 17 },
  ],
  // With a proof, so at once. The read is for whoever has the new address.
  [
    'POST /ops/support/accounts/{id}/change-email',
    { dynamodb: { GetItem: 1, Query: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 20 },
  ],
  // A change waits.
  [
    'POST /ops/support/accounts/{id}/change-email/stop',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 14 },
  ],
  // The account waits for no mail.
  [
    'POST /ops/support/accounts/{id}/resend',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 6 },
  ],
  // A request for a mail of each purpose is looked for by a write.
  [
    'POST /ops/support/accounts/{id}/unlock',
    { dynamodb: { Query: 1, TransactWriteItems: 1, UpdateItem: 3 }, readUnits: 1, writeUnits: 17 },
  ],
  // As a suspension; the profile enters the index of what is due.
  [
    'POST /ops/support/accounts/{id}/close',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 19 },
  ],
  // Of an account that was closed.
  [
    'POST /ops/support/accounts/{id}/reopen',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 19 },
  ],
  // Of an account that has bought nothing.
  [
    'POST /ops/admin/accounts/{id}/erase',
    {
      dynamodb: { DeleteItem: 1, GetItem: 4, Query: 6, TransactWriteItems: 3, UpdateItem: 6 },
      readUnits: 10,
      writeUnits: 52,
      cognito: { AdminDeleteUser: 1 },
      stripe: { 'GET /v1/customers': 1 },
    },
  ],
  [
    'POST /ops/support/accounts/{id}/export',
    { dynamodb: { Query: 3, TransactWriteItems: 1 }, readUnits: 3, writeUnits: 11 },
  ],
  // One account with a card.
  [
    'POST /ops/admin/import',
    {
      dynamodb: { GetItem: 3, TransactWriteItems: 1 },
      readUnits: 3,
      writeUnits: 37,
      stripe: { 'GET /v1/customers/*': 1, 'GET /v1/customers/*/payment_methods': 1 },
    },
  ],
  // As for `take`, and for an expiry a look at the lots and a further one, which is in the index.
  [
    'POST /ops/support/accounts/{id}/grant',
    { dynamodb: { Query: 2, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 18 },
  ],
  // Profile, ledger, name of the request, notice, event and the two entries of the audit log.
  [
    'POST /ops/support/accounts/{id}/take',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 15 },
  ],
  [
    'POST /ops/support/accounts/{id}/credit',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 15 },
  ],
  [
    'POST /ops/support/accounts/{id}/debit',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 15 },
  ],
  // The order, the refund and the booking are a transaction each.
  [
    'POST /ops/support/accounts/{id}/purchases/{purchase}/refund',
    {
      dynamodb: { GetItem: 9, Query: 2, TransactWriteItems: 3, UpdateItem: 2 },
      readUnits: 11,
      writeUnits: 35,
      stripe: { 'GET /v1/charges/*': 1, 'GET /v1/payment_intents/*': 1, 'POST /v1/refunds': 1 },
    },
  ],
  // Nothing is wrong, so only the audit log is written.
  [
    'POST /ops/support/accounts/{id}/reconcile',
    { dynamodb: { Query: 4, TransactWriteItems: 1 }, readUnits: 4, writeUnits: 4 },
  ],
  // Of a time in which nothing was paid.
  [
    'POST /ops/admin/reconcile',
    {
      dynamodb: { GetItem: 4, PutItem: 2, Query: 8 },
      readUnits: 8,
      writeUnits: 2,
      stripe: {
        'GET /v1/disputes': 1,
        'GET /v1/payment_intents': 1,
        'GET /v1/radar/early_fraud_warnings': 1,
        'GET /v1/refunds': 1,
      },
    },
  ],
  ['GET /ops/read/endpoints', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  // What concerns no account has one entry in the audit log.
  [
    'POST /ops/admin/endpoints',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 4 },
  ],
  [
    'PUT /ops/admin/endpoints/{id}',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 4 },
  ],
  [
    'POST /ops/admin/endpoints/{id}/rotate',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 4 },
  ],
  [
    'GET /ops/read/endpoints/{id}/deliveries',
    { dynamodb: { GetItem: 1, Query: 1 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    'POST /ops/support/endpoints/{id}/test',
    { dynamodb: { GetItem: 1, PutItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  // Nothing was sent yet.
  [
    'POST /ops/support/endpoints/{id}/replay',
    { dynamodb: { GetItem: 1, PutItem: 1, Query: 1 }, readUnits: 2, writeUnits: 1 },
  ],
  // Of each admin key's requests, the first in 30 seconds reads the key. Accounts are in four lists, and there is one.
  ['GET /admin/api/users', { dynamodb: { GetItem: 1, Query: 5 }, readUnits: 4, writeUnits: 0 }],
  [
    'PUT /admin/api/users/{id}/suspend',
    { dynamodb: { GetItem: 1, Query: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 18 },
  ],
  [
    'PUT /admin/api/users/{id}/activate',
    { dynamodb: { GetItem: 1, Query: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 18 },
  ],
  // Nobody has paid.
  ['GET /admin/api/invoices', { dynamodb: { GetItem: 1, Query: 1 }, readUnits: 1.5, writeUnits: 0 }],
  ['GET /admin/api/users/{id}/invoices', { dynamodb: { GetItem: 1, Query: 2 }, readUnits: 3, writeUnits: 0 }],
  ['GET /admin/api/quotas/default', { dynamodb: { GetItem: 2 }, readUnits: 2, writeUnits: 0 }],
  ['GET /admin/api/users/{id}/quota', { dynamodb: { GetItem: 1, Query: 1 }, readUnits: 2, writeUnits: 0 }],
  // As a grant.
  [
    'PUT /admin/api/users/{id}/quota',
    { dynamodb: { GetItem: 1, Query: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 15 },
  ],
]
