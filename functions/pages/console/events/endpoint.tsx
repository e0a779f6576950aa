import type { FieldSpec, Values } from '../../kit/form.tsx'
import { timeText } from '../../kit/language.ts'
import { type Action, type Fact, given } from '../action.tsx'
import { type Answer, call } from '../api.ts'
import { t } from '../messages.ts'

export type Endpoint = Answer<'listEventEndpoints'>['endpoints'][number]
export type Delivery = Answer<'listDeliveries'>[number]

const e = t.events

const typesText = ({ types }: Endpoint): string => (types.length === 0 ? e.allTypes : types.join(', '))

function stateOf({ enabled, disabledAt, failingSince }: Endpoint): { text: string; look: string } {
  if (disabledAt !== null) return { text: e.disabledByBursar(timeText(disabledAt)), look: 'bad' }
  if (!enabled) return { text: e.disabled, look: 'warn' }
  if (failingSince !== null) return { text: e.failing(timeText(failingSince)), look: 'bad' }
  return { text: e.enabled, look: 'good' }
}

export function EndpointTag({ of }: { of: Endpoint }) {
  const { text, look } = stateOf(of)
  return <span class={`tag ${look}`}>{text}</span>
}

export const endpointFacts = (endpoint: Endpoint): Fact[] => [
  [e.url, endpoint.url],
  [e.types, typesText(endpoint)],
  [e.state, stateOf(endpoint).text],
]

const fieldsOf = (endpoint?: Endpoint): FieldSpec[] => [
  { name: 'url', label: e.url, value: endpoint?.url, required: true, maxlength: 500, autocomplete: 'off' },
  { name: 'types', label: e.types, hint: e.typesHint, value: endpoint?.types.join(' '), autocomplete: 'off' },
]

/** Types with spaces or commas between them. */
const typesOf = ({ types = '' }: Values): string[] => types.split(/[\s,]+/).filter((each) => each !== '')
const reasonOf = ({ reason = '' }: Values) => reason

export const addEndpoint: Action<undefined> = {
  call: 'addEventEndpoint',
  ...e.add,
  fields: () => fieldsOf(),
  says: () => e.add.says,
  async run(_, values) {
    const types = typesOf(values)
    const { endpoint, secret } = await call('addEventEndpoint', {
      url: values.url ?? '',
      ...(types.length > 0 && { types }),
      reason: reasonOf(values),
    })
    return { text: e.add.done(endpoint.url), secret: { label: e.secret, text: secret } }
  },
}

const change: Action<Endpoint> = {
  call: 'changeEventEndpoint',
  ...e.change,
  fields: fieldsOf,
  says: () => e.change.says,
  async run({ id }, values) {
    await call('changeEventEndpoint', {
      id,
      url: given(values.url),
      types: typesOf(values),
      reason: reasonOf(values),
    })
    return { text: e.change.done }
  },
}

const switchTo = (enabled: boolean): Action<Endpoint> => {
  const texts = enabled ? e.enable : e.disable
  return {
    call: 'changeEventEndpoint',
    ...texts,
    danger: !enabled,
    says: ({ url }) => texts.says(url),
    async run({ id }, values) {
      await call('changeEventEndpoint', { id, enabled, reason: reasonOf(values) })
      return { text: texts.done }
    },
  }
}

const rotate: Action<Endpoint> = {
  call: 'rotateEventEndpoint',
  ...e.rotate,
  says: () => e.rotate.says,
  async run({ id }, values) {
    const { secret, oldUntil } = await call('rotateEventEndpoint', { id, reason: reasonOf(values) })
    return { text: e.rotate.done(timeText(oldUntil)), secret: { label: e.secret, text: secret } }
  },
}

const test: Action<Endpoint> = {
  call: 'testEventEndpoint',
  ...e.test,
  says: ({ url }) => e.test.says(url),
  async run({ id }, values) {
    const { delivered, result } = await call('testEventEndpoint', { id, reason: reasonOf(values) })
    return { text: delivered ? e.test.arrived(result) : e.test.lost(result) }
  },
}

const replay: Action<Endpoint> = {
  call: 'replayEvents',
  ...e.replay,
  fields: () => [
    { name: 'since', label: e.since, type: 'date', required: true, hint: e.sinceHint },
    { name: 'until', label: e.until, type: 'date', hint: e.untilHint },
  ],
  says: ({ url }, { since, until }) => e.replay.says(url, since, until),
  async run({ id }, values) {
    let [replayed, since] = [0, `${values.since}T00:00:00Z`]
    for (;;) {
      const part = await call('replayEvents', {
        id,
        since,
        until: given(values.until) && `${values.until}T00:00:00Z`,
        reason: reasonOf(values),
      })
      replayed += part.replayed
      // A page that ends where it began would go on for ever.
      if (part.next === null || part.next === since) return { text: e.replay.done(replayed) }
      since = part.next
    }
  },
}

export const endpointActions = (endpoint: Endpoint): Action<Endpoint>[] => [
  test,
  replay,
  change,
  switchTo(!endpoint.enabled),
  rotate,
]

/** Sends one event again. */
export const replayOne = (endpoint: string): Action<Delivery> => ({
  call: 'replayEvents',
  ...e.replayOne,
  says: ({ type }) => e.replayOne.says(type),
  async run({ eventId, happenedAt }, values) {
    const { replayed } = await call('replayEvents', {
      id: endpoint,
      eventId,
      since: happenedAt,
      reason: reasonOf(values),
    })
    return { text: e.replay.done(replayed) }
  },
})
