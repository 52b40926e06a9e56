//! What of a package's manifest is to be loaded, and whether it can be: asked before a package is taken, and again by who loads it.

use std::collections::HashSet;

use super::composite::{self, Listed};
use super::stop::Stop;
use crate::definitions::Definitions;
use crate::domain::entity::{Entity, FieldType};
use crate::domain::job::ImportSpec;
use crate::format::mapping::field_meant;
use crate::format::package::PackageEntity;

/// The entities to be loaded, in the manifest's order.
///
/// # Errors
/// [`Stop::Fail`] when the manifest asks for what cannot be done: what is left out would be missed by nobody.
pub(super) fn to_load<'m, 'a>(
    definitions: &'a Definitions,
    spec: &'a ImportSpec,
    manifest: &'m [PackageEntity],
) -> Result<Vec<Listed<'m, 'a>>, Stop> {
    let mut listed = composite::listed(definitions, spec, manifest);
    listed.retain(|listed| !listed.entity.disabled);
    if let Some(twice) = twice(&listed) {
        let detail = format!("the manifest names the file `{twice}` for two entities: give each a file of its own");
        return Err(Stop::fail("manifest_unexpected", detail));
    }
    if let Some(second) = listed.iter().filter(|listed| listed.composed.is_some()).nth(1) {
        let detail = format!(
            "`{}` is the second composite entity of the package, which may have one (FMT-11): send it in another package",
            second.entity.name
        );
        return Err(Stop::fail("composite_twice", detail));
    }
    for Listed { entity, composed, .. } in &listed {
        refuse_transform(entity)?;
        if composed.is_some() && !entity.fields.is_empty() {
            let detail = format!(
                "the manifest maps fields of `{}`, which is a composite entity: let the job map those of its entities",
                entity.name
            );
            return Err(Stop::fail("manifest_unsupported", detail));
        }
    }
    Ok(listed)
}

/// Nothing is to be loaded.
pub(super) fn empty() -> Stop {
    let detail = "the package's manifest lists no entity that is to be loaded";
    Stop::fail("package_empty", detail)
}

fn refuse_transform(listed: &PackageEntity) -> Result<(), Stop> {
    let Some(transform) = listed.transforms.first() else {
        return Ok(());
    };
    let detail = format!(
        "`{}` is to be transformed by `{transform}` first, which is not supported: transform the file before it is packed",
        listed.name
    );
    Err(Stop::fail("transform_unsupported", detail))
}

/// Numbers can be generated for fields that take numbers.
pub(super) fn refuse_generated(entity: &Entity, listed: &PackageEntity) -> Result<(), Stop> {
    for line in listed.fields.iter().filter(|line| line.auto_generated) {
        let field = field_meant(entity, &line.field).and_then(|name| entity.field(name));
        let why = match field.map(|field| &field.kind) {
            Some(FieldType::String | FieldType::Int | FieldType::Decimal { .. }) => continue,
            Some(kind) => format!("a number is no value of its type, `{}`", kind.name()),
            None => "the entity has no such field".to_owned(),
        };
        let detail = format!(
            "the field `{}` of `{}` is to be generated, but {why}",
            line.field, listed.name
        );
        return Err(Stop::fail("manifest_unsupported", detail));
    }
    Ok(())
}

/// A file that two entities are to be read from.
fn twice(listed: &[Listed<'_, '_>]) -> Option<String> {
    let mut seen = HashSet::new();
    let mut files = listed.iter().map(|listed| listed.entity.file.to_lowercase());
    files.find(|file| !seen.insert(file.clone()))
}
