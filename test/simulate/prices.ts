/**
 * Prices in US dollars before taxes and without free tiers that end, as known in November 2026. They change, so look at
 * `source` before you rely on one. Stripe's fees are not here.
 */
export interface Prices {
  /** Each million of write and read units of a table on demand; each GB in a month, and its point-in-time recovery. */
  writeUnits: number
  readUnits: number
  storedGb: number
  recoveryGb: number
  /** Each million of runs, and each GB-second on arm64. */
  lambdaRuns: number
  lambdaGbSeconds: number
  /** Each million of requests up to 300 million a month, and each further one. */
  httpApi: readonly [number, number]
  /** Each user who is active in the month, beyond `freeUsers`. Tier Essentials, which Bursar's trigger needs. */
  cognitoUser: number
  freeUsers: number
  mail: number
  /** Each GB of logs that is taken in, and each GB that is kept for a month. */
  logsGb: number
  logsKeptGb: number
  /** Each million of events put on a bus of one's own. */
  events: number
  /** Each key, each 10,000 calls. */
  kmsKey: number
  kmsCalls: number
  /** Each metric that an alarm reads. */
  alarm: number
  /** Each metric of one's own beyond `freeMetrics`. The first three dashboards cost nothing, and a stage has one. */
  metric: number
  freeMetrics: number
}

const shared = {
  lambdaRuns: 0.2,
  lambdaGbSeconds: 0.000_013_333_4,
  cognitoUser: 0.015,
  freeUsers: 10_000,
  mail: 0.000_1,
  logsKeptGb: 0.03,
  events: 1,
  kmsKey: 1,
  kmsCalls: 0.03,
  alarm: 0.1,
  metric: 0.3,
  freeMetrics: 10,
} as const

export const prices = {
  'us-east-1': {
    ...shared,
    writeUnits: 0.625,
    readUnits: 0.125,
    storedGb: 0.25,
    recoveryGb: 0.2,
    httpApi: [1, 0.9],
    logsGb: 0.5,
  },
  'eu-west-1': {
    ...shared,
    writeUnits: 0.705,
    readUnits: 0.141,
    storedGb: 0.283,
    recoveryGb: 0.226,
    httpApi: [1.11, 1],
    logsGb: 0.57,
  },
} satisfies Record<string, Prices>

export type Region = keyof typeof prices

/** Where AWS says what is above. */
export const sources = {
  asOf: '2026-11',
  dynamodb: 'https://aws.amazon.com/dynamodb/pricing/on-demand/',
  lambda: 'https://aws.amazon.com/lambda/pricing/',
  httpApi: 'https://aws.amazon.com/api-gateway/pricing/',
  cognito: 'https://aws.amazon.com/cognito/pricing/',
  mail: 'https://aws.amazon.com/ses/pricing/',
  cloudwatch: 'https://aws.amazon.com/cloudwatch/pricing/',
  events: 'https://aws.amazon.com/eventbridge/pricing/',
  kms: 'https://aws.amazon.com/kms/pricing/',
} as const
