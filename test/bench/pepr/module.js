/**
 * A Pepr module with one rule that asks what downdraft asks first: does this update of a Deployment change an image?
 * It is what `pepr build` would bundle; the controller's own part of Pepr, which only fetches and starts it, is left out.
 */
import pepr from 'pepr';

const { PeprModule, Capability, a } = pepr;

// Ends with the bench that started it.
process.stdin.on('end', () => process.exit()).resume();

const capability = new Capability({ name: 'bench', description: 'compares images', namespaces: [] });

capability
  .When(a.Deployment)
  .IsUpdated()
  .Validate((request) => {
    const changed = imagesOf(request.Raw) !== imagesOf(request.OldResource);
    return changed && !request.Raw.metadata?.name ? request.Deny('an update without a name') : request.Approve();
  });

function imagesOf(workload) {
  return (workload?.spec?.template?.spec?.containers ?? []).map(({ image }) => image).join(' ');
}

const settings = {
  uuid: 'bench',
  onError: 'reject',
  webhookTimeout: 10,
  alwaysIgnore: { namespaces: [] },
  admission: { alwaysIgnore: { namespaces: [] } },
  watch: { alwaysIgnore: { namespaces: [] } },
};
const module = new PeprModule({ description: 'bench', pepr: settings }, [capability], { deferStart: true });
module.start(Number(process.env.PORT));
