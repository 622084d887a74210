/** Can the domains of libvirt on this host be seen and driven? Nothing is changed in any of them. */
import type { Config } from '../../config/index.js';
import { errorText, quoted } from '../../errors.js';
import { RealClock } from '../../runtime/real-clock.js';
import { OWN_PORT } from '../../signals/report-ways.js';
import { kibToPagesDown, millis } from '../../units.js';
import {
  LIST_DOMAINS,
  openVirsh,
  parseDomainList,
  parseDomainXml,
  QEMU_AGENT_PORT,
  virtioMem,
  type DomainShape,
  type ListedDomain,
  type Virsh,
} from '../../virsh/index.js';
import { besidesOf, portUse } from './besides.js';
import { fail, ok, warn, type Finding } from './finding.js';
import { keptFinding } from './kept-memory.js';

/** Who is listened to in a guest, as configured. */
type Heard = Pick<Config['libvirt'], 'asksAgent' | 'hearsOwn'>;

/** For all that is asked. */
const LIMIT = millis(10_000);

export async function checkLibvirt({ libvirt }: Config): Promise<readonly Finding[]> {
  const clock = new RealClock();
  const limit = clock.timeLimit(LIMIT);
  const { uri } = libvirt;
  let virsh: Virsh;
  try {
    virsh = await openVirsh({ uri, clock, onEvent: () => undefined, onGap: () => undefined }, limit);
  } catch (error) {
    return [fail(errorText(error), 'Try virsh -c URI uri as the same user, with the URI of libvirt.uri')];
  }
  try {
    const domains = parseDomainList(await virsh.look(LIST_DOMAINS, limit));
    const answers = ok(`libvirt answers at ${uri}, and lets this user change domains`);
    if (domains.length === 0) return [answers, warn('no domain runs there', 'Start one, or look at libvirt.uri')];
    const found = await Promise.all(domains.map((domain) => checkDomain(virsh, { ...domain, heard: libvirt }, limit)));
    return [answers, ...found.flat()];
  } catch (error) {
    return [fail(errorText(error), 'See whether libvirtd is stopped')];
  } finally {
    await virsh.close();
  }
}

async function checkDomain(
  virsh: Virsh,
  { uuid, name, heard }: ListedDomain & { readonly heard: Heard },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const who = quoted(name);
  try {
    const shape = parseDomainXml(await virsh.look(['dumpxml', uuid], signal));
    const besides = besidesOf(who, {
      guestAgent: portUse(shape.channels.has(QEMU_AGENT_PORT), heard.asksAgent),
      ownAgent: portUse(shape.channels.has(OWN_PORT), heard.hearsOwn),
      pluggable: kibToPagesDown(virtioMem(shape).size),
    });
    // A domain without a balloon is only watched, whatever else it has.
    if (shape.balloon === null) return [balloonOf(who, shape)];
    const kept = shape.keptBy === null ? [] : [keptFinding(who, `its description has ${shape.keptBy}`)];
    return [balloonOf(who, shape), ...kept, besides];
  } catch (error) {
    return [fail(`${who}: ${errorText(error)}`, 'Look at it with virsh dumpxml')];
  }
}

function balloonOf(who: string, { balloon }: DomainShape): Finding {
  if (balloon === null) {
    return warn(`${who} runs, and has no balloon`, "Give it <memballoon model='virtio' autodeflate='on'/>");
  }
  if (balloon.deflatesOnOom) return ok(`${who} runs, with a balloon`);
  return warn(
    `${who} runs, with a balloon that does not deflate when the guest runs out of memory`,
    "Set autodeflate='on' for its memballoon (virsh edit) and start it anew; otherwise it is left alone until it has swapped something out",
  );
}
