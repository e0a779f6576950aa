import type { Cost } from '../conformance/costs.ts'

/**
 * Costs of what no row's test pins: what jobs do for one item, what webhooks of one payment cost, and what consumes cost on
 * average over many. `count` says how many of it a cost is for. `calibration.deep.test.ts` plays and measures all of them.
 */
export const MEASURED = {
  idleMinute: { count: 1, cost: { dynamodb: { Query: 48 }, readUnits: 24, writeUnits: 0 } },
  idleSweep: {
    count: 1,
    cost: {
      dynamodb: { Query: 24, GetItem: 5, PutItem: 4 },
      readUnits: 17,
      writeUnits: 4,
      stripe: {
        'GET /v1/events': 1,
        'GET /v1/refunds': 1,
        'GET /v1/disputes': 1,
        'GET /v1/radar/early_fraud_warnings': 1,
      },
    },
  },
  publishNew: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, GetItem: 1, UpdateItem: 1, TransactWriteItems: 2 },
      readUnits: 2,
      writeUnits: 14,
      events: { PutEvents: 2 },
    },
  },
  webhooksOfFirst: {
    count: 1,
    cost: {
      dynamodb: { GetItem: 12, TransactWriteItems: 4, Query: 1 },
      readUnits: 13,
      writeUnits: 16,
      stripe: { 'GET /v1/customers/*': 2, 'GET /v1/payment_methods/*': 1, 'GET /v1/payment_intents/*': 1 },
    },
  },
  publishFirst: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, GetItem: 2, UpdateItem: 4, TransactWriteItems: 1 },
      readUnits: 3,
      writeUnits: 15,
      events: { PutEvents: 4 },
    },
  },
  sendMail: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, UpdateItem: 1, GetItem: 1, PutItem: 1 },
      readUnits: 4,
      writeUnits: 5,
      mail: { SendEmail: 1 },
    },
  },
  crossLow: { count: 1, cost: { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 2 } },
  tellLow: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, PutItem: 1, TransactWriteItems: 1, UpdateItem: 1 },
      readUnits: 1,
      writeUnits: 12,
    },
  },
  publishLow: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, GetItem: 1, UpdateItem: 2 },
      readUnits: 2,
      writeUnits: 3,
      events: { PutEvents: 1 },
    },
  },
  crossRenewal: {
    count: 1,
    cost: { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 2, lambda: { Invoke: 1 } },
  },
  renew: {
    count: 1,
    cost: {
      dynamodb: { Query: 2, TransactWriteItems: 3, GetItem: 5, PutItem: 2, UpdateItem: 3, DeleteItem: 1 },
      readUnits: 7,
      writeUnits: 48,
      stripe: { 'POST /v1/payment_intents': 1, 'POST /v1/payment_intents/*/confirm': 1 },
    },
  },
  webhooksOfRenewal: {
    count: 1,
    cost: {
      dynamodb: { GetItem: 3, Query: 1, TransactWriteItems: 1 },
      readUnits: 4,
      writeUnits: 4,
      stripe: { 'GET /v1/payment_intents/*': 1 },
    },
  },
  publishRenewal: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, GetItem: 2, UpdateItem: 1, TransactWriteItems: 1 },
      readUnits: 3,
      writeUnits: 10,
      events: { PutEvents: 1 },
    },
  },
  newDay: {
    count: 1,
    cost: { dynamodb: { UpdateItem: 2, Query: 1, PutItem: 1 }, readUnits: 1, writeUnits: 4 },
  },
  countUse: {
    count: 1,
    cost: { dynamodb: { Query: 1, GetItem: 3, TransactWriteItems: 1 }, readUnits: 4, writeUnits: 9 },
  },
  comparePayments: {
    count: 2,
    cost: {
      dynamodb: { GetItem: 2, PutItem: 2, UpdateItem: 2 },
      readUnits: 2,
      writeUnits: 6,
      stripe: { 'GET /v1/payment_intents': 1 },
    },
  },
  webhooksOfRefund: {
    count: 1,
    cost: {
      dynamodb: { GetItem: 15, Query: 4, TransactWriteItems: 3 },
      readUnits: 19,
      writeUnits: 36,
      stripe: { 'GET /v1/refunds/*': 1, 'GET /v1/payment_intents/*': 2, 'GET /v1/charges/*': 3 },
    },
  },
  publishRefund: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, GetItem: 1, UpdateItem: 2, TransactWriteItems: 1 },
      readUnits: 2,
      writeUnits: 8,
      events: { PutEvents: 2 },
    },
  },
  webhooksOfDispute: {
    count: 1,
    cost: {
      dynamodb: { GetItem: 25, Query: 5, TransactWriteItems: 2, UpdateItem: 2, PutItem: 1 },
      readUnits: 30,
      writeUnits: 51,
      stripe: {
        'GET /v1/disputes/*': 2,
        'GET /v1/payment_intents/*': 2,
        'GET /v1/charges/*': 4,
        'GET /v1/disputes': 4,
      },
    },
  },
  answerReset: {
    count: 1,
    cost: {
      dynamodb: { Query: 1, BatchGetItem: 2, UpdateItem: 1, GetItem: 1, TransactWriteItems: 1, PutItem: 1 },
      readUnits: 4,
      writeUnits: 15,
      mail: { SendEmail: 1 },
    },
  },
  consumes: {
    count: 600,
    cost: { dynamodb: { UpdateItem: 620, PutItem: 20 }, readUnits: 0, writeUnits: 640 },
  },
  batches: {
    count: 60,
    cost: { dynamodb: { GetItem: 60, PutItem: 61, UpdateItem: 99 }, readUnits: 60, writeUnits: 160 },
  },
} satisfies Record<string, { cost: Cost; count: number }>
