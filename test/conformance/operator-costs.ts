import type { Cost } from './costs.ts'

/** The operators' rows: the cost of their sample in `test/support/samples.ts`. */
export const OPERATOR_COSTS: [route: string, Cost][] = [
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
    { dynamodb: { GetItem: 2, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 6 },
  ],
  ['GET /ops/read/services', { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 }],
  ['POST /ops/admin/services', { dynamodb: { TransactWriteItems: 1 }, readUnits: 0, writeUnits: 6 }],
  [
    'POST /ops/admin/services/{name}/revoke',
    { dynamodb: { GetItem: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 6 },
  ],
]
