/** The table as pure data: the deployment and the local stack both create it from here. */
export const DUE_INDEX = 'due'

export const tableDefinition = {
  attributes: { pk: 'S', sk: 'S', due: 'S', dueAtMs: 'N' },
  primary: { hashKey: 'pk', rangeKey: 'sk' },
  /** Keys only: a job reads what is due and then the item itself, which is the truth. */
  indexes: { [DUE_INDEX]: { hashKey: 'due', rangeKey: 'dueAtMs', projection: 'KEYS_ONLY' } },
  /** Epoch seconds after which DynamoDB may delete an item; it may also take days, so no rule relies on it. */
  ttlAttribute: 'ttl',
} as const
