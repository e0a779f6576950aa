import { ActionButton } from '../../kit/form.tsx'
import { agoText, dayText } from '../../kit/language.ts'
import { Load, useResource } from '../../kit/resource.tsx'
import { t } from '../messages.ts'
import { client, signOut } from '../session.ts'

export function Sessions() {
  const sessions = useResource(() => client.sessions.list())
  return (
    <section class="card">
      <header>
        <h2>{t.security.sessions}</h2>
        <ActionButton run={() => signOut(true)}>{t.security.endAll}</ActionButton>
      </header>
      <Load of={sessions}>
        {(list) => (
          <ul class="list">
            {list.map(({ id, since, lastSeen, userAgent, current }) => {
              const device = userAgent ?? t.security.unknownDevice
              return (
                <li key={id}>
                  <span class="grow">
                    {device}
                    <small>{t.security.seen(dayText(since), agoText(lastSeen))}</small>
                  </span>
                  {current ? (
                    <span class="tag good">{t.security.thisOne}</span>
                  ) : (
                    <ActionButton
                      label={t.security.endOf(device)}
                      run={async () => {
                        await client.sessions.end(id)
                        await sessions.reload()
                      }}
                    >
                      {t.security.end}
                    </ActionButton>
                  )}
                </li>
              )
            })}
          </ul>
        )}
      </Load>
    </section>
  )
}
