import type { Input } from './api.ts'

/** Lists that operators ask for, as the filters that they are. */
export const filtersOf = {
  all: {},
  unconfirmed: { standing: 'unconfirmed' },
  pending: { standing: 'pending' },
  paying: { paid: 'true' },
  low: { low: 'true' },
  owing: { owed: 'true' },
  undeliverable: { undeliverable: 'true' },
  suspended: { standing: 'suspended' },
  deactivated: { standing: 'deactivated' },
  closing: { standing: 'closing' },
} as const satisfies Record<string, Input<'listAccounts'>>

export type ListName = keyof typeof filtersOf
export const lists = Object.keys(filtersOf) as ListName[]
export const isList = (name: string | undefined): name is ListName => name !== undefined && name in filtersOf
