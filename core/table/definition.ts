/** The table as pure data: the deployment and the local stack both create it from here. */
export const DUE_INDEX = 'due'

export const tableDefinition = {
  attributes: { pk: 'S', sk: 'S', due: 'S', dueAtMs: 'N' },
  primary: { hashKey: 'pk', rangeKey: 'sk' },
  /** Keys only: a job reads each due item from the table, because the index may be out of date. */
  indexes: { [DUE_INDEX]: { hashKey: 'due', rangeKey: 'dueAtMs', projection: 'KEYS_ONLY' } },
  /**
   * Epoch second after which DynamoDB may delete an item. Deletion may lag by days, so no rule relies on it.
   */
  ttlAttribute: 'ttl',
} as const
