import * as z from 'zod/mini'

/** A kind of event as other systems receive it. */
interface EventType {
  /** Rises with each change that a reader of the older version would not understand. */
  version: number
  /** When it happens, in one line. */
  summary: string
  data: z.ZodMiniType<Record<string, unknown>>
  example: Record<string, unknown>
}

/** Every type of event that Bursar announces. */
export const eventCatalogue = {
  'account.confirmed': {
    version: 1,
    summary: 'The owner of an account has confirmed its e-mail address for the first time',
    data: z.object({ trialUnits: z.number() }),
    example: { trialUnits: 100 },
  },
  'units.expired': {
    version: 1,
    summary: 'Units of an account have expired',
    data: z.object({ units: z.number() }),
    example: { units: 250 },
  },
} as const satisfies Record<string, EventType>

export type EventTypeName = keyof typeof eventCatalogue
export type EventData<T extends EventTypeName> = z.infer<(typeof eventCatalogue)[T]['data']>
