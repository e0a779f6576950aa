/** The table as pure data: the deployment and the local stack both create it from here. */
export const DUE_INDEX = 'due'
/** Lists accounts by what is true of them. `core/account/listed.ts` says what it holds. */
export const LISTED_INDEX = 'listed'

export const tableDefinition = {
  attributes: { pk: 'S', sk: 'S', due: 'S', dueAtMs: 'N', status: 'S', id: 'S' },
  primary: { hashKey: 'pk', rangeKey: 'sk' },
  /** Keys only: whoever finds an item reads it from the table, because an index may be out of date. */
  indexes: {
    [DUE_INDEX]: { hashKey: 'due', rangeKey: 'dueAtMs', projection: 'KEYS_ONLY' },
    [LISTED_INDEX]: { hashKey: 'status', rangeKey: 'id', projection: 'KEYS_ONLY' },
  },
  /**
   * Epoch second after which DynamoDB may delete an item. Deletion may lag by days, so no rule relies on it.
   */
  ttlAttribute: 'ttl',
} as const
